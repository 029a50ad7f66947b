"""`crowdpoint evaluate`: evaluate models on a dataset by the papers' metrics."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Unpack

import typer

from crowdpoint import datasets, evaluation, formats, zoo
from crowdpoint.cli import options
from crowdpoint.cli.tables import print_reports
from crowdpoint.console import track
from crowdpoint.datasets import Sample
from crowdpoint.errors import wrap_write_errors
from crowdpoint.estimate import require_points
from crowdpoint.formats import choose_format
from crowdpoint.names import choose_names, escape
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.report import System, write

_log = logging.getLogger(__name__)


def evaluate(
    model: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help=f"{options.MODEL_HELP} Several are compared.",
        ),
    ],
    data: options.Data,
    dataset: options.Dataset,
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "test",
    classes: options.Classes = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Write the predicted points: to a .csv or .json file, or to a folder with a CSV file for "
            "each model, outside of --data. Images are named by their path in --data."
        ),
    ] = None,
    report: options.Report = None,
    as_json: options.JsonModels = False,
    **shared: Unpack[options.Predicting],
) -> None:
    """Evaluate models on a dataset: counting, localization, nAP, and the metrics of its protocol."""
    samples = datasets.load(dataset, data, split, classes.wanted if classes else ())
    names = _name_models(model)
    files = _choose_files(save, names, data, samples) if save else {}
    paths = {sample.name: escape(sample.image.relative_to(data).as_posix()) for sample in samples}
    annotated = any(sample.annotation for sample in samples)
    if not annotated and (as_json or report or not save):
        raise typer.BadParameter(
            f"--split: the authors of {dataset} do not publish the annotations of {split}; choose another, "
            "or give --save without --json and --report for the predicted points alone"
        )
    predictors = {name: Predictor.load(path, **shared) for name, path in names.items()}
    if not annotated:
        for name, predictor in predictors.items():
            limited = predictor.limit_as_in_training(dataset)
            found = track(evaluation.predict(limited, samples), len(samples), f"predicting with {name}")
            points = {
                paths[each.sample.name]: require_points(predictor.select(each.candidates), name)
                for each in found
            }
            formats.write(files[name], points)
            _log.info("%s: the points on %d images", files[name], len(samples))
        return
    truth: dict[str, Points] = {}
    systems = []
    page, needs_points = report is not None, bool(save or report)
    try:
        for name, predictor in predictors.items():
            system = _evaluate_model(name, predictor, samples, dataset, truth, page, needs_points)
            systems.append(system)
            if save:
                formats.write(files[name], {paths[image]: each for image, each in system.predictions.items()})
    finally:  # a model that fails, or a full disk, takes no figures with it
        if systems:
            _print(systems, as_json)
    if report:
        path = write(report, dataset, truth, systems, {sample.name: sample.image for sample in samples})
        _log.info("report: %s", path)


def _name_models(models: Sequence[str]) -> dict[str, str]:
    """Choose a short name for each argument; a checkpoint is called RUN/NAME."""
    if len(set(models)) < len(models):
        raise typer.BadParameter(f"MODEL: expected models that differ, found {', '.join(models)}")
    paths = [zoo.resolve(model).resolve() for model in models]
    short = [f"{path.parent.name}/{path.name}" if path.is_dir() else path.stem for path in paths]
    return dict(zip(choose_names(short, models), models, strict=True))


def _choose_files(save: Path, names: Iterable[str], data: Path, samples: Iterable[Sample]) -> dict[str, Path]:
    names = list(names)
    if not save.suffix or save.is_dir():
        files = {name: save / f"{name.replace('/', '-')}.csv" for name in names}
        if len(set(files.values())) < len(names):
            raise typer.BadParameter(
                f"--save: {' and '.join(names)} would share a file; evaluate them in turn"
            )
    else:
        choose_format(save)  # fail before the work if no format has this suffix
        if len(names) > 1:
            raise typer.BadParameter(
                f"--save: expected a folder for {len(names)} models, found the file {save}"
            )
        files = {names[0]: save}
    own = {path.resolve() for sample in samples for path in sample.files().values()}
    for file in files.values():
        # There, it would replace annotations, or be taken for some.
        if file.resolve() in own or file.resolve().is_relative_to(data.resolve()):
            raise typer.BadParameter(f"--save: {file} is in the dataset; choose a place outside of --data")
    for file in files.values():
        with wrap_write_errors(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
    return files


def _evaluate_model(
    name: str,
    predictor: Predictor,
    samples: Sequence[Sample],
    dataset: str,
    truth: dict[str, Points],
    page: bool,
    needs_points: bool,
) -> System:
    """Evaluate a model, with curves and map maxima for a `page`, and add the heads to `truth`."""
    info = predictor.info
    empty_below = info.method.empty_below(info.config) if page else None
    mapped = empty_below is not None
    result = evaluation.evaluate(predictor, samples, dataset, map_maxima=mapped, curves=page)
    points, maxima = {}, {}
    for image in track(result, len(samples), f"evaluating {name}"):
        truth[image.sample.name] = image.truth
        if needs_points or isinstance(image.points, Points):
            points[image.sample.name] = require_points(image.points, name)
        if image.map_maximum is not None:
            maxima[image.sample.name] = image.map_maximum
    return System(name, info.method.name, result.report, points, maxima if mapped else None, empty_below)


def _print(systems: Sequence[System], as_json: bool) -> None:
    if not as_json:
        print_reports({system.name: system.report for system in systems})
    elif len(systems) == 1:
        typer.echo(systems[0].report.model_dump_json())
    else:
        for system in systems:
            typer.echo(json.dumps({"model": system.name} | system.report.model_dump(mode="json")))
