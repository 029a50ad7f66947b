"""Evaluate and compare models: `python examples/compare_models.py truth.csv first.csv second.csv`.

The points may come from any model, in any readable format. All files must contain the same images.
"""

import argparse
from pathlib import Path

from crowdpoint import formats
from crowdpoint.metrics import Evaluator, Report
from crowdpoint.metrics.comparison import compare
from crowdpoint.points import Points


def main() -> None:
    """Print the metrics of every file, and whether the differences are significant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path, help="annotated points")
    parser.add_argument("predictions", nargs="+", type=Path, help="predicted points, one file per model")
    arguments = parser.parse_args()

    truth = formats.read(arguments.truth)
    reports = {path.stem: evaluate(formats.read(path), truth) for path in arguments.predictions}
    for name, report in reports.items():
        f1 = report.localization["8"].f1
        print(f"{name}: MAE {report.mae:.2f}, RMSE {report.rmse:.2f}, F1 {f1:.2%} within 8 pixels")
    if len(reports) > 1:
        for pair in compare(reports):
            gap = pair.mae
            interval = f"95 % interval {gap.low:+.2f} to {gap.high:+.2f}, p {gap.p_value:.3f}"
            print(f"{pair.first} minus {pair.second}: MAE {gap.value:+.2f} ({interval})")


def evaluate(predictions: dict[str, Points], truth: dict[str, Points]) -> Report:
    """Compute the metrics of one model on all images."""
    evaluator = Evaluator(sigmas=(4, 8))
    for image, heads in truth.items():
        evaluator.update(predictions[image], heads, name=image)
    return evaluator.compute()


if __name__ == "__main__":
    main()
