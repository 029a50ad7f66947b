"""`crowdpoint export`: convert a checkpoint to a file that runs without torch."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from crowdpoint import zoo
from crowdpoint.errors import requires


def export(
    model: Annotated[str, typer.Argument(help="Checkpoint folder, or name of an embedded model.")],
    out: Annotated[
        Path, typer.Option(help="File to write: .onnx, or .xml with a .bin file beside it.", dir_okay=False)
    ],
    to: Annotated[Literal["onnx", "openvino"], typer.Option(help="Format of the file.")] = "onnx",
    name: Annotated[
        str | None, typer.Option(help="Name of the model. [default: the name of the file]")
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in half precision, which halves the file.")
    ] = False,
) -> None:
    """Export a checkpoint and check that the file computes what the network does."""
    folder = zoo.find_checkpoint(model)
    with requires(f"export to {to}", "train"):
        from crowdpoint.export import export_onnx, export_openvino
    write = export_onnx if to == "onnx" else export_openvino
    write(folder, out, name=name, half=half)
    for file in zoo.list_files(out):
        typer.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
