"""`crowdpoint evaluate`: a model on a dataset in, the papers' metrics out."""

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer


def evaluate(
    model: Annotated[
        str, typer.Argument(help="A name from `crowdpoint models`, an .onnx file or a checkpoint folder.")
    ],
    data: Annotated[Path, typer.Option(help="The dataset's folder, as its authors distribute it.")],
    dataset: Annotated[str, typer.Option(help="Its name, such as shanghaitech-a.")],
    split: Annotated[str, typer.Option(help="Which part of it.")] = "test",
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a point; the model's own by default.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also write the predicted points, as CSV or JSON by the ending.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Evaluate a model: counting, localization at 4 and 8 pixels, and nAP."""
    from rich.console import Console
    from rich.progress import track

    from crowdpoint import datasets, formats
    from crowdpoint.cli.score import print_report
    from crowdpoint.metrics import Evaluator
    from crowdpoint.predict import Predictor

    samples = datasets.load(dataset, data, split)
    predictor = Predictor.load(model, threshold=threshold)
    evaluator = Evaluator()
    predictions = {}
    console = Console(stderr=True)
    start = perf_counter()
    for sample in track(samples, "evaluating", console=console, disable=not console.is_terminal):
        candidates = predictor.candidates(sample.image)
        predictions[sample.name] = predictor.select(candidates)
        evaluator.update(predictions[sample.name], sample.points(), candidates, name=sample.name)
    report = evaluator.compute(seconds=perf_counter() - start)
    if save:
        formats.write(save, predictions)
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        print_report(report)
