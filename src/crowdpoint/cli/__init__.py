"""The `crowdpoint` command; each module holds one command.

Command modules import what is heavy inside their functions, so that `crowdpoint --help` is instant.
"""

import io
import sys
from typing import Annotated

import typer

from crowdpoint.cli import (
    ablate,
    batch,
    bench,
    check,
    convert,
    crossvalidate,
    evaluate,
    export,
    importing,
    models,
    predict,
    score,
    serve,
    train,
    video,
)
from crowdpoint.errors import ConfigError, CrowdpointError, MissingExtraError, ModelError
from crowdpoint.names import escape
from crowdpoint.version import __version__

app = typer.Typer(
    name="crowdpoint",
    help="Find every person in a picture: crowd localization and counting.",
    epilog="Exit codes: 0 all well, 1 some inputs failed, 2 usage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(predict.predict)
app.command()(batch.batch)
app.command()(check.check)
app.command()(evaluate.evaluate)
app.command()(video.video)
app.command()(score.score)
app.command()(convert.convert)
app.command()(train.train)
app.command()(crossvalidate.crossvalidate)
app.command()(ablate.ablate)
app.command()(export.export)
app.command("import")(importing.import_)
app.command()(bench.bench)
app.command()(models.models)
app.command()(serve.serve)


def main() -> None:
    """Runs the command line; an error made for people becomes one line on stderr.

    What was asked for and cannot be, such as an unknown model, exits with 2 as bad usage does; an input
    that cannot be read exits with 1.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name in letters that the terminal lacks ends no run
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="crowdpoint")
    except CrowdpointError as error:
        typer.echo(f"crowdpoint: {escape(str(error))}", err=True)
        raise SystemExit(
            2 if isinstance(error, ConfigError | MissingExtraError | ModelError) else 1
        ) from error


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crowdpoint {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass
