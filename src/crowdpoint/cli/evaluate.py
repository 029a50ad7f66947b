"""`crowdpoint evaluate`: models on a dataset in, the papers' metrics out."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint import datasets, evaluation, formats, zoo
from crowdpoint.cli.console import track
from crowdpoint.cli.options import (
    DataOption,
    DatasetOption,
    DeviceOption,
    EngineOption,
    MaxSideOption,
    PrecisionOption,
    SettingsOption,
    ThresholdOption,
)
from crowdpoint.cli.tables import print_reports
from crowdpoint.datasets import Sample
from crowdpoint.errors import requires
from crowdpoint.estimate import require_points
from crowdpoint.formats import choose_format
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.report import System, write

_log = logging.getLogger(__name__)


def evaluate(
    model: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Names from `crowdpoint models`, .onnx or .xml files, checkpoints; a column for each.",
        ),
    ],
    data: DataOption,
    dataset: DatasetOption,
    split: Annotated[str, typer.Option(help="Which part of it.")] = "test",
    engine: EngineOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    threshold: ThresholdOption = None,
    max_side: MaxSideOption = None,
    set_: SettingsOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Also write the predicted points: into a file, CSV or JSON by its ending, or into a folder, "
            "a CSV for each model."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Also write a page with charts and pictures into this folder.", file_okay=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, one a line for several models.")
    ] = False,
) -> None:
    """Evaluate models: counting, localization, nAP, and what else the dataset's protocol asks for."""
    samples = datasets.load(dataset, data, split)
    names = _name_models(model)
    files = _choose_files(save, names) if save else {}
    annotated = any(sample.annotation for sample in samples)
    if not annotated and (as_json or report or not save):
        raise typer.BadParameter(
            f"--split: the authors of {dataset} do not publish the annotations of {split}; choose another, "
            "or give --save without --json and --report for the predicted points alone"
        )
    if report:
        with requires("a report", "report"):
            from crowdpoint.report import page  # noqa: F401  # what is missing should show before the work
    predictors = {
        name: Predictor.load(
            path,
            engine=engine,
            threshold=threshold,
            max_side=max_side,
            overrides=set_ or (),
            device=device,
            precision=precision,
        )
        for name, path in names.items()
    }
    if not annotated:
        for name, predictor in predictors.items():
            found = track(evaluation.predict(predictor, samples), len(samples), f"predicting with {name}")
            formats.write(
                files[name],
                {each.sample.name: require_points(predictor.select(each.candidates), name) for each in found},
            )
            _log.info("%s: the points on %d images", files[name], len(samples))
        return
    truth: dict[str, Points] = {}
    systems = []
    for name, predictor in predictors.items():
        systems.append(
            _evaluate_model(
                name,
                predictor,
                samples,
                dataset,
                truth,
                page=report is not None,
                needs_points=bool(save or report),
            )
        )
        if save:
            formats.write(files[name], systems[-1].predictions)
    _print(systems, as_json)
    if report:
        path = write(report, dataset, truth, systems, {sample.name: sample.image for sample in samples})
        _log.info("report: %s", path)


def _name_models(models: Sequence[str]) -> dict[str, str]:
    """What tables call each model -> how it was given; a checkpoint has its run's name before its own."""
    if len(set(models)) < len(models):
        raise typer.BadParameter(f"MODEL: expected models that differ, found {', '.join(models)}")
    paths = [zoo.resolve(model).resolve() for model in models]
    short = [f"{path.parent.name}/{path.name}" if path.is_dir() else path.stem for path in paths]
    return dict(zip(short if len(set(short)) == len(models) else models, models, strict=True))


def _choose_files(save: Path, names: Iterable[str]) -> dict[str, Path]:
    """Where each model's points go: into the one file, or into a file of its own in a folder."""
    names = list(names)
    if not save.suffix or save.is_dir():
        save.mkdir(parents=True, exist_ok=True)
        return {name: save / f"{name.replace('/', '-')}.csv" for name in names}
    choose_format(save)  # an ending without a format should show before the work
    if len(names) > 1:
        raise typer.BadParameter(f"--save: expected a folder for {len(names)} models, found the file {save}")
    return {names[0]: save}


def _evaluate_model(
    name: str,
    predictor: Predictor,
    samples: Sequence[Sample],
    dataset: str,
    truth: dict[str, Points],
    page: bool,
    needs_points: bool,
) -> System:
    """Evaluate a model and add the heads to `truth`.

    A `page` needs curves and the maxima of maps. A method without points is refused if `needs_points`.
    """
    info = predictor.info
    mapped = page and info.method.empty_below(info.config) is not None
    result = evaluation.evaluate(predictor, samples, dataset, map_maxima=mapped, curves=page)
    points, maxima = {}, {}
    for image in track(result, len(samples), f"evaluating {name}"):
        truth[image.sample.name] = image.truth
        if needs_points or isinstance(image.points, Points):
            points[image.sample.name] = require_points(image.points, name)
        if image.map_maximum is not None:
            maxima[image.sample.name] = image.map_maximum
    return System(name, info.method.name, result.report, points, maxima if mapped else None)


def _print(systems: Sequence[System], as_json: bool) -> None:
    if not as_json:
        print_reports({system.name: system.report for system in systems})
    elif len(systems) == 1:
        typer.echo(systems[0].report.model_dump_json())
    else:
        for system in systems:
            typer.echo(json.dumps({"model": system.name} | system.report.model_dump(mode="json")))
