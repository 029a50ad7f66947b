"""`crowdpoint export`: a checkpoint in, a file that runs without torch out."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint.errors import requires


class Target(StrEnum):
    """Formats to export to."""

    ONNX = "onnx"


def export(
    model: Annotated[Path, typer.Argument(help="A checkpoint folder.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="The file to write.", dir_okay=False)],
    to: Annotated[Target, typer.Option(help="Format of the file.")] = Target.ONNX,
    name: Annotated[str | None, typer.Option(help="Name of the model; the file's by default.")] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in half precision: half the size.")
    ] = False,
) -> None:
    """Export a checkpoint and check that the file computes what the network does."""
    with requires(f"export to {to}", "train"):
        from crowdpoint.export import export_onnx
    export_onnx(model, out, name=name, half=half)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
