"""`crowdpoint export`: convert a checkpoint to a file that runs without torch."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from crowdpoint import zoo
from crowdpoint.cli import options
from crowdpoint.errors import requires

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
"""Format -> extension of its file, by which models are known."""


def export(
    model: Annotated[str, typer.Argument(help=options.CHECKPOINT_HELP)],
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
    if out.suffix != SUFFIXES[to]:
        (other,) = SUFFIXES.keys() - {to}
        raise typer.BadParameter(
            f"--out: expected a name that ends with {SUFFIXES[to]}, or with --to {other} one that ends with "
            f"{SUFFIXES[other]}, found {out}"
        )
    folder = zoo.find_checkpoint(model)
    with requires(f"export to {to}", "train"):
        from crowdpoint.export import export_onnx, export_openvino
    write = export_onnx if to == "onnx" else export_openvino
    write(folder, out, name=name, half=half)
    for file in zoo.list_files(out):
        typer.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
