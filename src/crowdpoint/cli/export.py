"""`crowdpoint export`: a checkpoint in, a file that runs without torch out."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint import zoo
from crowdpoint.errors import requires


class Target(StrEnum):
    """Formats to export to."""

    ONNX = "onnx"
    OPENVINO = "openvino"


def export(
    model: Annotated[str, typer.Argument(help="A checkpoint folder, or the name of an embedded model.")],
    out: Annotated[
        Path, typer.Option(help="The file to write: .onnx, or .xml with a .bin beside it.", dir_okay=False)
    ],
    to: Annotated[Target, typer.Option(help="Format of the file.")] = Target.ONNX,
    name: Annotated[str | None, typer.Option(help="Name of the model; the file's by default.")] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in half precision: half the size.")
    ] = False,
) -> None:
    """Export a checkpoint and check that the file computes what the network does."""
    folder = zoo.find_checkpoint(model)
    with requires(f"export to {to}", "train"):
        from crowdpoint.export import export_onnx, export_openvino
    write = export_onnx if to == Target.ONNX else export_openvino
    write(folder, out, name=name, half=half)
    for file in zoo.list_files(out):
        typer.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
