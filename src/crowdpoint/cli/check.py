"""`crowdpoint check`: list the faults of a dataset."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from crowdpoint.checking import ALL, DatasetChecker, Fault
from crowdpoint.cli import options
from crowdpoint.console import print_table, track
from crowdpoint.datasets import DATASETS
from crowdpoint.names import escape


def check(
    data: options.Data,
    dataset: options.Dataset,
    split: Annotated[str, typer.Option(help="Split to check, or all.")] = "all",
    classes: options.Classes = None,
    as_json: options.JsonLines = False,
) -> None:
    """Check a dataset: read every image and annotation and list all faults.

    Exits with 1 if there are faults.
    """
    if dataset not in DATASETS:
        raise typer.BadParameter(f"--dataset: expected one of {', '.join(DATASETS)}, found {dataset}")
    splits = dict.fromkeys((*DATASETS[dataset].splits, ALL))
    if split not in splits:
        raise typer.BadParameter(f"--split: expected one of {', '.join(splits)}, found {split}")
    inspection = DatasetChecker(dataset, data, split, classes)
    faults = list(inspection.layout)
    for sample in track(inspection.samples, len(inspection.samples), "checking"):
        faults += inspection.check(sample)
    if classes:
        classes.check(data)
    if as_json:
        for fault in faults:
            image = None if fault.image is None else str(fault.image)
            typer.echo(json.dumps(asdict(fault) | {"path": str(fault.path), "image": image}))
    else:
        _print(faults)
    kinds = Counter(f"{fault.kind} ({fault.severity})" for fault in faults)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "no faults"
    typer.echo(f"{len(inspection.samples)} images, {inspection.heads} heads: {found}", err=as_json)
    if faults:
        raise typer.Exit(1)


def _print(faults: list[Fault]) -> None:
    if not Console().is_terminal:
        for fault in faults:
            typer.echo(escape(f"{fault.place}: {fault.severity}: {fault.kind}: {fault.message}"))
        return
    if not faults:
        return
    styles = {"error": "red", "warning": "yellow"}
    rows = (
        (Text(f.severity, styles[f.severity]), f.kind, escape(f.place), escape(f.message)) for f in faults
    )
    print_table(("", "fault", "file", "found"), rows, left=4)
