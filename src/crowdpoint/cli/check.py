"""`crowdpoint check`: a dataset in, a list of everything wrong with it out."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crowdpoint.checking import Fault


def check(
    data: Annotated[
        Path,
        typer.Option(
            help="The dataset's folder, as its authors distribute it.", exists=True, file_okay=False
        ),
    ],
    dataset: Annotated[str, typer.Option(help="Its name, such as shanghaitech-a.")],
    split: Annotated[str, typer.Option(help="Which part of it, or all.")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
) -> None:
    """Check a dataset: read every image and annotation and list what is wrong.

    Exits with 1 if anything is.
    """
    from rich.console import Console
    from rich.progress import track

    from crowdpoint.checking import ALL, Inspection
    from crowdpoint.datasets import DATASETS

    if dataset not in DATASETS:
        raise typer.BadParameter(f"--dataset: expected one of {', '.join(DATASETS)}, found {dataset}")
    splits = dict.fromkeys((*DATASETS[dataset].splits, ALL))
    if split not in splits:
        raise typer.BadParameter(f"--split: expected one of {', '.join(splits)}, found {split}")
    inspection = Inspection(dataset, data, split)
    faults = list(inspection.layout)
    errors = Console(stderr=True)
    for sample in track(
        inspection.samples, "checking", console=errors, transient=True, disable=not errors.is_terminal
    ):
        faults += inspection.check(sample)
    if as_json:
        for fault in faults:
            typer.echo(json.dumps(asdict(fault) | {"path": str(fault.path)}))
    else:
        _print(faults)
    kinds = Counter(f"{fault.kind} ({fault.severity})" for fault in faults)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "nothing wrong"
    typer.echo(f"{len(inspection.samples)} images, {inspection.heads} heads: {found}", err=as_json)
    if faults:
        raise typer.Exit(1)


def _print(faults: "list[Fault]") -> None:
    """A table on a terminal, a line for each fault elsewhere."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        for fault in faults:
            typer.echo(f"{fault.place}: {fault.severity}: {fault.kind}: {fault.message}")
        return
    if not faults:
        return
    table = Table("", "what", "where", "found")
    for fault in faults:
        style = "red" if fault.severity == "error" else "yellow"
        place = Text(fault.place, overflow="fold")
        table.add_row(Text(fault.severity, style), fault.kind, place, Text(fault.message))
    console.print(table)
