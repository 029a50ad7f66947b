"""`crowdpoint import`: a checkpoint of the papers' authors in, one of ours out."""

from pathlib import Path
from typing import Annotated

import typer

from crowdpoint.errors import requires


def import_(
    official: Annotated[Path, typer.Argument(help="The authors' .pth file.", exists=True, dir_okay=False)],
    as_: Annotated[
        str,
        typer.Option("--as", metavar="NAME", help="Which network it holds: p2pnet-vgg16 or fidtm-hrnet-w48."),
    ],
    out: Annotated[Path, typer.Option(help="The checkpoint folder to write.", file_okay=False)],
    trained_on: Annotated[
        str, typer.Option(metavar="DATASET", help="The dataset that it is for.")
    ] = "shanghaitech-a",
) -> None:
    """Import a checkpoint that the papers' authors published."""
    with requires("import of official checkpoints", "train"):
        from crowdpoint.nn.official import import_official
    import_official(official, as_, out, trained_on)
    typer.echo(f"{out}: use it as a model, as in `crowdpoint predict photo.jpg --model {out}`")
