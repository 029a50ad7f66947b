"""`crowdpoint import`: convert a checkpoint of the papers' authors to ours."""

import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint.errors import requires

_log = logging.getLogger(__name__)

ASSUMED = "shanghaitech-a"
"""Default of --trained-on."""


def import_(
    official: Annotated[Path, typer.Argument(help="Authors' .pth file.", exists=True, dir_okay=False)],
    as_: Annotated[
        str,
        typer.Option("--as", metavar="NAME", help="Network of the file: p2pnet-vgg16 or fidtm-hrnet-w48."),
    ],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.", file_okay=False)],
    trained_on: Annotated[
        str | None,
        typer.Option(metavar="DATASET", help=f"Dataset that it was trained on. [default: {ASSUMED}]"),
    ] = None,
) -> None:
    """Import a checkpoint that the papers' authors published."""
    with requires("import of official checkpoints", "train"):
        from crowdpoint import checkpoint
        from crowdpoint.train.official import import_official
    if checkpoint.exists(out):
        raise typer.BadParameter(f"{out} holds a checkpoint; give another --out")
    import_official(official, as_, out, trained_on or ASSUMED)
    if trained_on is None:
        _log.warning("%s: assumed to be for %s; if not, give --trained-on", official, ASSUMED)
    command = f"crowdpoint predict photo.jpg --model {shlex.quote(str(out))}"
    typer.echo(f"{out}: use it as a model, as in `{command}`")
