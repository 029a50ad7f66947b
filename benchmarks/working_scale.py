"""What an automatic working scale would do: python benchmarks/working_scale.py --data ShanghaiTech.

A first pass tells how far the heads are apart; where the median distance is short the image is enlarged to
twice its size, where it is long it is halved. The two bounds are fitted on training images. Each image is
judged as it is and resized first, against the scale 1 and against the factor that undoes the resize.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from crowdpoint import datasets, images
from crowdpoint.datasets import Sample
from crowdpoint.neighbors import neighbor_distances
from crowdpoint.predict import Predictor

FACTORS = (0.5, 1.0, 2.0)
"""Of the images in the trial, and of the working scale."""


@dataclass(frozen=True)
class Trial:
    """What a model says of one image at one size.

    Attributes:
        true: heads on the image.
        counts: at each working scale of `FACTORS`.
        distance: median distance of a head to its nearest neighbour at scale 1, in pixels.
    """

    true: int
    counts: tuple[int, ...]
    distance: float

    def error(self, factor: float) -> int:
        """Absolute error of the count at a working scale."""
        return abs(self.counts[FACTORS.index(factor)] - self.true)

    def chosen(self, short: float, long: float) -> float:
        """The working scale by the two bounds on the distance."""
        return 2.0 if self.distance < short else 0.5 if self.distance > long else 1.0


def trials(model: str, samples: Sequence[Sample], resize: float) -> list[Trial]:
    """The images of `samples`, resized by a factor and counted at every working scale."""
    predictors = [Predictor.load(model, scale=factor) for factor in FACTORS]
    found = []
    for sample in samples:
        pixels = images.read(sample.image)
        height, width, _ = pixels.shape
        pixels = images.resize(pixels, (round(width * resize), round(height * resize)))
        seen = [predictor.predict(pixels) for predictor in predictors]
        distances = neighbor_distances(seen[FACTORS.index(1.0)].xy, k=1)
        distance = float(np.median(distances)) if len(distances) else np.inf
        found.append(Trial(len(sample.points()), tuple(map(len, seen)), distance))
    return found


def fitted(tried: Sequence[Trial]) -> tuple[float, float]:
    """The two bounds with the least error over `tried`, among the quantiles of their distances."""
    finite = [trial.distance for trial in tried if np.isfinite(trial.distance)]
    bounds = [0.0, *np.quantile(finite, np.linspace(0.02, 0.98, 49)), np.inf]
    return min(
        combinations(bounds, 2), key=lambda pair: sum(trial.error(trial.chosen(*pair)) for trial in tried)
    )


def main() -> None:
    """Prints the fitted bounds, and a row of mean absolute errors for each resize."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of ShanghaiTech")
    parser.add_argument("--model", default="p2pnet-lite")
    parser.add_argument(
        "--train-every", type=int, default=15, help="fit on every n-th training image of part A"
    )
    parser.add_argument("--test-every", type=int, default=6, help="judge on every n-th test image of part A")
    options = parser.parse_args()
    train = datasets.load("shanghaitech-a", options.data, "train")[:: options.train_every]
    test = datasets.load("shanghaitech-a", options.data, "test")[:: options.test_every]
    bounds = fitted([trial for resize in FACTORS for trial in trials(options.model, train, resize)])
    print(f"fitted on {len(train)} images: twice below {bounds[0]:.1f} pixels, half above {bounds[1]:.1f}")
    print(f"mean absolute error on {len(test)} test images of part A")
    print(f"{'resized by':>12}{'scale 1':>12}{'chosen':>12}{'undone':>12}")
    for resize in FACTORS:
        tried = trials(options.model, test, resize)
        errors = (
            [trial.error(1.0) for trial in tried],
            [trial.error(trial.chosen(*bounds)) for trial in tried],
            [trial.error(1 / resize) for trial in tried],
        )
        print(f"{resize:>12}" + "".join(f"{np.mean(each):>12.1f}" for each in errors), flush=True)


if __name__ == "__main__":
    main()
