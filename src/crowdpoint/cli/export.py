"""`crowdpoint export`: a checkpoint in, a file that runs without torch out."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint import zoo
from crowdpoint.errors import requires

PHOTOS = 64
"""How many photos say what ranges 8-bit activations have."""


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
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTOS",
            help="Compute in 8-bit integers, with ranges from this folder of typical photos: quicker, and a "
            "little less exact. For P2PNet in ONNX.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Export a checkpoint and check that the file computes what the network does."""
    if int8 and (half or to != Target.ONNX):
        raise typer.BadParameter("--int8 is for ONNX files, and without --half")
    photos = _spread(int8) if int8 else []
    folder = zoo.checkpoint(model)
    with requires(f"export to {to}", "train"):
        from crowdpoint.export import export_onnx, export_openvino
    if to == Target.ONNX:
        export_onnx(folder, out, name=name, half=half, photos=photos)
    else:
        export_openvino(folder, out, name=name, half=half)
    for file in zoo.files(out):
        typer.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
    if photos:
        typer.echo(_compared(folder, out, photos), err=True)


def _spread(folder: Path) -> list[Path]:
    """`PHOTOS` of the photos of a folder, evenly spread."""
    from crowdpoint.cli.sources import collect

    found, missing = collect([str(folder)])
    if missing:
        raise typer.BadParameter(f"--int8: {missing[0]}")
    step = max(1, len(found) / PHOTOS)
    return [Path(found[int(number * step)].location) for number in range(min(PHOTOS, len(found)))]


def _compared(folder: Path, out: Path, photos: Sequence[Path]) -> str:
    """What 8-bit integers change in the counts of the photos."""
    from crowdpoint.predict import Predictor

    exact, rounded = (
        [len(predictor.predict(photo)) for photo in photos]
        for predictor in (Predictor.load(folder), Predictor.load(out))
    )
    apart = sum(abs(ours - theirs) for ours, theirs in zip(exact, rounded, strict=True)) / len(photos)
    return (
        f"on {len(photos)} photos: {sum(exact) / len(photos):.1f} people on average by the checkpoint, "
        f"{sum(rounded) / len(photos):.1f} by the file; {apart:.1f} apart in a photo"
    )
