"""`crowdpoint crossvalidate`: a recipe and one dataset in, a network for each fold and their figures out."""

import json
from itertools import zip_longest
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crowdpoint.cli.train import Accelerator, BackboneWeights, Overrides, Start
from crowdpoint.errors import ConfigError, requires, storing
from crowdpoint.outputs import replaced

if TYPE_CHECKING:
    from crowdpoint.metrics import Report
    from crowdpoint.recipe import DataConfig

RESULTS = "folds.json"
"""The file with the images and the figures of each fold."""


def crossvalidate(
    recipe: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a shipped recipe, of one dataset.")
    ],
    data: Annotated[Path, typer.Option(help="The dataset's folder, as its authors distribute it.")],
    folds: Annotated[
        int | None, typer.Option(min=2, help="How many folds; the recipe's own by default, which is 5.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of a run for each fold. [default: runs/RECIPE-folds]", file_okay=False),
    ] = None,
    set_: Overrides = None,
    start: Start = None,
    backbone_weights: BackboneWeights = None,
    accelerator: Annotated[Accelerator, typer.Option(help="What to train on.")] = Accelerator.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="What folds.json holds, on stdout.")] = False,
) -> None:
    """Cross-validate a recipe: train without each fold in turn, and evaluate on the fold that was left out.

    The same command goes on with what was interrupted.
    """
    with requires("training", "train"):
        from crowdpoint import checkpoint
        from crowdpoint.train.interrupt import exit_code
        from crowdpoint.train.loop import train
    from crowdpoint import zoo
    from crowdpoint.cli.tables import print_reports
    from crowdpoint.config import load_recipe

    plan = load_recipe(recipe, [*(set_ or ()), *([f"data.0.folds={folds}"] if folds else [])])
    if len(plan.data) > 1:
        names = ", ".join(part.name for part in plan.data)
        raise ConfigError(
            f"{recipe}: data: expected one dataset to cross-validate, found {names}; choose one, such as "
            f"--set 'data=[{{name: {plan.data[0].name}}}]'"
        )
    weights = zoo.checkpoint(start) if start else None
    folder = out or Path("runs") / f"{Path(recipe).stem}-folds"
    validation = CrossValidation(plan.data[0], data, plan.run.seed)
    for fold, images in enumerate(validation.folds, start=1):
        run = folder / f"fold-{fold}"
        typer.echo(f"fold {fold} of {len(validation.folds)}, without {len(images)} images: {run}", err=True)
        without = plan.data[0].model_copy(update={"fold": fold})
        try:
            train(
                plan.model_copy(update={"data": (without,)}),
                data,
                run,
                weights=weights,
                backbone_weights=backbone_weights,
                resume=checkpoint.exists(run / "last"),
                accelerator=accelerator,
                devices=1,  # several would each run the whole command
            )
            validation.evaluate(run / "best")
        except KeyboardInterrupt as interrupt:
            typer.echo("stopped; the same command goes on", err=True)
            raise typer.Exit(exit_code(interrupt)) from interrupt
        validation.write(folder / RESULTS)
    if as_json:
        typer.echo(json.dumps(validation.content()))
    else:
        columns = {f"fold {fold}": report for fold, report in enumerate(validation.reports, start=1)}
        print_reports(columns | {"all": validation.together()})


class CrossValidation:
    """The folds of a dataset, and the figures of those that are done.

    Args:
        dataset: the dataset, and the number of its folds.
        root: the folder that its path is relative to.
        seed: which images fall together.

    Attributes:
        folds: the images of each fold.
        reports: the metrics of each fold that is done, in their order.

    Raises:
        DatasetError: if the dataset is not there, or has fewer images than folds.
        FormatError: if an annotation cannot be read.
        ImageError: if an image's header cannot be read.
    """

    def __init__(self, dataset: "DataConfig", root: Path, seed: int) -> None:
        from crowdpoint import datasets
        from crowdpoint.cli.judging import Judge

        samples = datasets.load(dataset.name, root / dataset.path, "train")
        self.folds = [images for _, images in datasets.folds(samples, dataset.folds, seed)]
        self.reports: list[Report] = []
        self._dataset, self._seed = dataset, seed
        self._judge = Judge(dataset.name, samples)
        self._all_images = self._judge.evaluator()

    def evaluate(self, model: Path) -> None:
        """Evaluates the network that was trained without the next fold on that fold."""
        from crowdpoint.cli.judging import predictions
        from crowdpoint.predict import Predictor

        predictor = Predictor.load(model, max_side=self._dataset.max_side)
        evaluator = self._judge.evaluator()
        start = perf_counter()
        for found in predictions(predictor, self.folds[len(self.reports)], f"evaluating {model}"):
            self._judge.judge(found, evaluator)
            self._judge.judge(found, self._all_images)
        self.reports.append(
            evaluator.compute(seconds=perf_counter() - start, protocol=predictor.info.protocol)
        )

    def together(self) -> "Report":
        """The folds that are done in one: MAE, RMSE, NAE and nAP are their means, the rest is pooled.

        The means are what papers print of UCF_CC_50. nAP ranks points by their scores, which mean
        different things to different networks, and so is a mean, too.
        """
        naes = [report.nae for report in self.reports if report.nae is not None]
        naps = [report.nap for report in self.reports if report.nap is not None]
        means = {
            "mae": fmean(report.mae for report in self.reports),
            "rmse": fmean(report.rmse for report in self.reports),
            "nae": fmean(naes) if naes else None,
            "nap": {key: fmean(nap[key] for nap in naps) for key in naps[0]} if naps else None,
        }
        seconds = sum(report.seconds or 0.0 for report in self.reports)
        protocol = self.reports[0].protocol
        return self._all_images.compute(seconds, protocol).model_copy(update=means)

    def content(self) -> dict[str, Any]:
        """What `folds.json` holds: each fold's images and figures, null for a fold to come."""
        reports = [report.model_dump(mode="json") for report in self.reports]
        folds = [
            {"images": [image.name for image in images], "report": report}
            for images, report in zip_longest(self.folds, reports)
        ]
        complete = len(reports) == len(self.folds)
        together = self.together().model_dump(mode="json") if complete else None
        return {"dataset": self._dataset.name, "seed": self._seed, "folds": folds, "all": together}

    def write(self, path: Path) -> None:
        """Writes the content to a file, replacing it as a whole."""
        with storing(path), replaced(path) as draft:
            draft.write_text(json.dumps(self.content(), indent=1) + "\n", encoding="utf-8")
