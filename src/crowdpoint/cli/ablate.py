"""`crowdpoint ablate`: one of the papers' ablation tables, trained and evaluated row by row."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from crowdpoint import ablations, datasets, zoo
from crowdpoint.ablations import AblationTable, Row, measured
from crowdpoint.cli.console import track
from crowdpoint.cli.options import (
    Accelerator,
    AcceleratorOption,
    BackboneWeightsOption,
    DataOption,
    OverridesOption,
    StartOption,
)
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError, requires
from crowdpoint.evaluation import evaluate
from crowdpoint.metrics import Report
from crowdpoint.predict import Predictor
from crowdpoint.recipe import Recipe

_log = logging.getLogger(__name__)


def ablate(
    table: Annotated[
        str, typer.Argument(help="Its number: IX, X, XI, XII or XIV of FIDTM, or 4, 5 or 6 of P2PNet.")
    ],
    data: DataOption,
    recipe: Annotated[
        str | None, typer.Option(help="The recipe that the rows change; the paper's own by default.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the runs, which tables share, and of TABLE.json.", file_okay=False)
    ] = Path("runs/ablations"),
    set_: OverridesOption = None,
    start: StartOption = None,
    backbone_weights: BackboneWeightsOption = None,
    accelerator: AcceleratorOption = Accelerator.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="What TABLE.json holds, on stdout.")] = False,
) -> None:
    """Train and evaluate all rows of an ablation table of the papers, and print it beside theirs.

    The same command goes on with what was interrupted.
    """
    with requires("training", "train"):
        from crowdpoint import checkpoint
        from crowdpoint.train.interrupt import exit_code
        from crowdpoint.train.loop import train

    chosen = ablations.find(table)
    name = recipe or chosen.recipe
    plans = _plans(chosen, name, set_ or [])
    weights = zoo.checkpoint(start) if start else None
    results = _Results(out / f"{table.upper()}.json", chosen, name, plans[0], data, accelerator)
    for number, (row, plan) in enumerate(zip(chosen.rows, plans, strict=True), start=1):
        run = out / Path(name).stem / row.run
        _log.info(f"row {number} of {len(plans)}, {' '.join(row.labels)}: {run}")
        try:
            train(
                plan,
                data,
                run,
                weights=weights,
                backbone_weights=backbone_weights,
                resume=checkpoint.exists(run / "last"),
                accelerator=accelerator,
                devices=1,  # several would each run the whole command
            )
            results.add(row, run)
        except KeyboardInterrupt as interrupt:
            _log.warning("stopped; the same command goes on")
            raise typer.Exit(exit_code(interrupt)) from interrupt
    if as_json:
        typer.echo(json.dumps(results.content))
    else:
        results.print()


def _plans(table: AblationTable, recipe: str, overrides: list[str]) -> list[Recipe]:
    """The recipe of each row; what the user overrides comes last."""
    plans = [load_recipe(recipe, [*row.overrides, *overrides]) for row in table.rows]
    if len(plans[0].data) > 1:
        names = ", ".join(part.name for part in plans[0].data)
        raise ConfigError(
            f"{recipe}: data: expected one dataset to evaluate on, found {names}; choose one, such as "
            f"--set 'data=[{{name: {plans[0].data[0].name}}}]'"
        )
    return plans


class _Results:
    """The rows of a table that are done, in a file that grows with them.

    Args:
        path: the file; a row in it counts as done if its network still has the same weights.
        table: the table.
        recipe: name of the recipe that the rows change.
        plan: the recipe of a row, for its dataset.
        root: the folder that the dataset's path is relative to.
        accelerator: what the networks run on.

    Raises:
        DatasetError: if the dataset is not there.
        FormatError: if an annotation cannot be read.
        ImageError: if an image's header cannot be read.
    """

    def __init__(
        self,
        path: Path,
        table: AblationTable,
        recipe: str,
        plan: Recipe,
        root: Path,
        accelerator: Accelerator,
    ) -> None:
        self._path, self._table, self._data, self._accelerator = path, table, plan.data[0], accelerator
        # NWPU-Crowd's authors keep the annotations of its test images.
        split = "val" if self._data.name == "nwpu-crowd" else "test"
        self._samples = datasets.load(self._data.name, root / self._data.path, split)
        for sample in self._samples:
            sample.points()  # a fault in an annotation shows before the first training
        known = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
        self._known: dict[str, dict[str, Any]] = {" ".join(row["labels"]): row for row in known}
        self.content: dict[str, Any] = {
            "table": table.source,
            "recipe": recipe,
            "dataset": self._data.name,
            "split": split,
            "rows": [],
        }

    def add(self, row: Row, run: Path) -> None:
        """Evaluate a row's network, if it has changed, and write the file."""
        with (run / "best" / "weights.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        known = self._known.get(" ".join(row.labels), {})
        if (known.get("run"), known.get("weights")) == (str(run), digest):
            self.content["rows"].append(known)
        else:
            report = self._evaluate(row, run)
            figures = {
                figure: measured(report, figure) if paper else None
                for figure, paper in zip(self._table.figures, row.published, strict=True)
            }
            self.content["rows"].append(
                {
                    "labels": row.labels,
                    "overrides": [*row.overrides, *row.settings],
                    "threshold": row.threshold,
                    "run": str(run),
                    "weights": digest,
                    "figures": figures,
                    "paper": dict(zip(self._table.figures, row.published, strict=True)),
                    "report": report.model_dump(mode="json"),
                }
            )
        self._write()

    def _evaluate(self, row: Row, run: Path) -> Report:
        predictor = Predictor.load(
            run / "best", threshold=row.threshold, overrides=row.settings, device=self._accelerator.device
        )
        evaluation = evaluate(predictor, self._samples, self._data.name)
        for _ in track(evaluation, len(self._samples), f"evaluating {' '.join(row.labels)}"):
            pass
        return evaluation.report

    def _write(self) -> None:
        """Replace the file as a whole; rows that come later keep what is known of them."""
        done = {" ".join(row["labels"]): row for row in self.content["rows"]}
        rows = list({**self._known, **done}.values())
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({**self.content, "rows": rows}, indent=1) + "\n", encoding="utf-8")
        draft.replace(self._path)

    def print(self) -> None:
        """Print the table, below each of our figures the paper's."""
        table = self._table
        title = f"{table.source}: {table.title} ({self._data.name}, {self.content['split']})"
        shown = Table(*table.columns, "", title=title)
        for figure in table.figures:
            shown.add_column(figure.replace("precision", "P").replace("recall", "R"), justify="right")
        for row in self.content["rows"]:
            cells = [
                f"{_cell(figure, row['figures'][figure])}\n{row['paper'][figure] or '–'}"
                for figure in table.figures
            ]
            shown.add_row(*row["labels"], "ours\npaper", *cells, end_section=True)
        Console().print(shown)


def _cell(figure: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if figure in ("mae", "rmse") else f"{value:.1%}"
