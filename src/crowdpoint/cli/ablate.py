"""`crowdpoint ablate`: train and evaluate the rows of one of the papers' ablation tables."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Unpack

import typer

from crowdpoint import ablations, datasets, outputs
from crowdpoint.ablations import AblationRow, AblationTable, get_figure
from crowdpoint.cli import options
from crowdpoint.cli.runs import exit_if_interrupted, require_one_dataset, train_or_resume
from crowdpoint.console import print_table, track
from crowdpoint.errors import ConfigError
from crowdpoint.evaluation import evaluate
from crowdpoint.predict import Predictor
from crowdpoint.recipe import Recipe
from crowdpoint.report.tables import format_metric

_log = logging.getLogger(__name__)


def ablate(
    table: Annotated[
        str,
        typer.Argument(help="Table number: IX, X, XI, XII or XIV of FIDTM, or 4, 5 or 6 of P2PNet."),
    ],
    data: options.Data,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that the rows change. [default: the paper's]")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(help="Folder for RECIPE/TABLE.json and the runs of all tables.", file_okay=False),
    ] = Path("runs/ablations"),
    set_: options.Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the contents of TABLE.json.")] = False,
    **shared: Unpack[options.Training],
) -> None:
    """Train and evaluate all rows of an ablation table of the papers, and print it beside theirs.

    Run the same command again to resume after an interruption.
    """
    chosen = ablations.find(table)
    name = recipe or chosen.recipe
    plans = ablations.plan(chosen, name, set_ or ())
    first = plans[0].recipe
    require_one_dataset(first, name, "evaluate on")
    folder = out / Path(name).stem
    results = _Results(folder / f"{table.upper()}.json", chosen, name, first, data, shared["accelerator"])
    for number, plan in enumerate(plans, start=1):
        run = folder / plan.run
        _log.info(f"row {number} of {len(plans)}, {' '.join(plan.row.labels)}: {run}")
        with exit_if_interrupted():
            train_or_resume(plan.recipe, data, run, **shared)
            results.add(plan.row, run)
    results.print(as_json)


class _Results:
    """Results of the completed rows of a table, and their file.

    Rows of the file are reused if neither their networks nor the images have changed.
    """

    def __init__(
        self,
        path: Path,
        table: AblationTable,
        recipe: str,
        plan: Recipe,
        root: Path,
        accelerator: Literal["auto", "cpu", "cuda"],
    ) -> None:
        self._path, self._table, self._data = path, table, plan.data[0]
        self._device = None if accelerator == "auto" else accelerator
        # NWPU-Crowd's authors keep the annotations of its test images.
        split = "val" if self._data.name == "nwpu-crowd" else "test"
        folder = root / self._data.path
        if split not in datasets.list_splits(self._data.name, folder):
            raise ConfigError(
                f"{self._data.name}: all its images are for training; use crossvalidate, or a dataset with "
                f"the split {split}"
            )
        self._samples = datasets.load(self._data.name, folder, split, self._data.classes)
        digest = hashlib.sha256()
        for sample in self._samples:
            heads = sample.points()  # a fault in an annotation shows before the first training
            digest.update(repr((sample.name, heads.image_size)).encode() + heads.xy.tobytes())
        self._about = {
            "table": table.source,
            "recipe": recipe,
            "dataset": self._data.name,
            "split": split,
            "images": digest.hexdigest(),
        }
        self._rows = self._read_rows()

    def _read_rows(self) -> dict[str, dict[str, Any]]:
        if not self._path.is_file():
            return {}
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
            same = known["images"] == self._about["images"]
            return {" ".join(row["labels"]): row for row in known["rows"]} if same else {}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path}: not a file of results; delete it to evaluate all rows again"
            ) from error

    def add(self, row: AblationRow, run: Path) -> None:
        """Add a row, evaluate its network if it has changed, and write the file."""
        with (run / "best" / "weights.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        label = " ".join(row.labels)
        known = self._rows.get(label, {})
        changes = [*row.overrides, *row.settings]
        if (known.get("run"), known.get("weights"), known.get("overrides")) != (str(run), digest, changes):
            predictor = Predictor.load(
                run / "best", threshold=row.threshold, overrides=row.settings, device=self._device
            )
            evaluation = evaluate(predictor, self._samples, self._data.name)
            for _ in track(evaluation, len(self._samples), f"evaluating {label}"):
                pass
            figures = {
                figure: get_figure(evaluation.report, figure) if paper else None
                for figure, paper in zip(self._table.figures, row.published, strict=True)
            }
            self._rows[label] = {
                "labels": row.labels,
                "overrides": changes,
                "threshold": row.threshold,
                "run": str(run),
                "weights": digest,
                "figures": figures,
                "paper": dict(zip(self._table.figures, row.published, strict=True)),
                "report": evaluation.report.model_dump(mode="json"),
            }
        content = {**self._about, "rows": list(self._rows.values())}
        outputs.write(self._path, (json.dumps(content, indent=1) + "\n").encode())

    def print(self, as_json: bool) -> None:
        """Print the rows, all of which have been added, with the paper's figures below ours."""
        table = self._table
        done = [self._rows[" ".join(row.labels)] for row in table.rows]
        if as_json:
            typer.echo(json.dumps({**self._about, "rows": done}))
            return
        title = f"{table.source}: {table.title} ({self._data.name}, {self._about['split']})"
        figures = (figure.replace("precision", "P").replace("recall", "R") for figure in table.figures)
        rows: list[Sequence[str] | None] = []
        for row in done:
            ours = {
                key: "–" if value is None else format_metric(key, value)
                for key, value in row["figures"].items()
            }
            cells = (f"{ours[figure]}\n{row['paper'][figure] or '–'}" for figure in table.figures)
            rows += [(*row["labels"], "ours\npaper", *cells), None]
        print_table((*table.columns, "", *figures), rows, left=len(table.columns) + 1, title=title)
