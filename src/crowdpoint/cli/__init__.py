"""The `crowdpoint` command; each command is a module, imported when the command is run."""

import gc
import inspect
import io
import keyword
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from inspect import Parameter
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperGroup

from crowdpoint.errors import (
    ConfigError,
    CrowdpointError,
    MissingExtraError,
    ModelError,
    ignore_metadata_warnings,
    requires,
)
from crowdpoint.names import escape
from crowdpoint.redaction import redact
from crowdpoint.version import __version__

COMMANDS = {
    "predict": "Find and count the people in images.",
    "batch": "Predict millions of images into Parquet files, and resume an interrupted run.",
    "check": "Check a dataset: read every image and annotation and list all faults.",
    "evaluate": "Evaluate models on a dataset: counting, localization, nAP, and the metrics of its protocol.",
    "video": "Count the people in a video, camera or stream over time.",
    "score": "Score files of predicted points against ground truth, and compare several systems.",
    "convert": "Convert point files to another format, and warn about data that it cannot store.",
    "train": "Train a network. The checkpoints are `last` and `best` in the folder of the run, beside the "
    "logs.",
    "finetune": "Fine-tune a model on a few annotated photos, in minutes, and compare its metrics before and "
    "after.",
    "crossvalidate": "Cross-validate a recipe: train without each fold in turn, and evaluate on the fold "
    "that was left out.",
    "ablate": "Train and evaluate all rows of an ablation table of the papers, and print it beside theirs.",
    "export": "Export a checkpoint and check that the file computes what the network does.",
    "import": "Import a checkpoint that the papers' authors published.",
    "bench": "Measure models: parameters, MACs, latency, throughput and memory.",
    "models": "List the named models.",
    "serve": "Serve models over HTTP, as an API and a web page.",
}
"""Name -> first line of the command's help, so that `crowdpoint --help` imports no command."""

EXTRAS = ("batch", "serve", "video")
"""Commands that need the extra of their name."""

_DEFAULTS: dict[str, Any] = {"accelerator": "auto", "overrides": (), "scale": "auto"}
"""Defaults of grouped options; None for the others."""

_log = logging.getLogger("crowdpoint")


def _set_level(level: int) -> None:
    if _log.level not in (logging.INFO, level):
        raise typer.BadParameter("--verbose and --quiet exclude each other")
    _log.setLevel(level)


def _be_verbose(wanted: bool) -> None:
    if wanted:
        _set_level(logging.DEBUG)


def _be_quiet(wanted: bool) -> None:
    if wanted:
        _set_level(logging.ERROR)


class _Lines(logging.Handler):
    """Print log records on stderr, escaped and redacted, warnings and errors after the program's name."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "crowdpoint: " if record.levelno >= logging.WARNING else ""
        # A progress bar puts another stream in its place while it is shown.
        text = "\n".join(map(escape, self.format(record).split("\n")))  # of tracebacks, too
        sys.stderr.write(f"{prefix}{redact(text)}\n")


_UsageError: Any = typer.BadParameter.__base__  # Typer has no public name for it


class _Commands(TyperGroup):
    """Import `crowdpoint.cli.NAME` when the command NAME is looked up, and redact errors of usage.

    The context's `obj` is the argument of `main`.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        with _suppress_collections() if ctx.obj else nullcontext():
            command = name and load_command(name)
        if command:
            command.params += [option for option in self.params if option.name in ("_verbose", "_quiet")]
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            error.message = redact(error.message)
            raise


def load_command(name: str) -> Any:
    """Import a command."""
    stem = f"{name}_" if keyword.iskeyword(name) else name
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    extra = requires(f"crowdpoint {name}", name) if name in EXTRAS else nullcontext()
    with extra:
        module = import_module(f"crowdpoint.cli.{stem}")
    single.command(name)(_expand_group(getattr(module, stem)))
    return typer.main.get_command(single)


def _expand_group(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `**shared: Unpack[GROUP]` of a command by one for each option of the group."""
    signature = inspect.signature(command)
    own = dict(signature.parameters)
    if "shared" in own:
        (group,) = get_args(own.pop("shared").annotation)
        for name, annotation in get_type_hints(group, include_extras=True).items():
            default = _DEFAULTS.get(name)
            own[name] = Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        command.__signature__ = signature.replace(parameters=list(own.values()))  # type: ignore[attr-defined]
    return command


@contextmanager
def _suppress_collections() -> Iterator[None]:
    """Suspend the garbage collector, and exempt what exists from it: modules stay until the process ends."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


app = typer.Typer(
    name="crowdpoint",
    cls=_Commands,
    help="Find every person in a picture: crowd localization and counting.",
    epilog="Exit codes: 0 all well, 1 some inputs failed, 2 usage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(lambda: None)


def main(*, own_process: bool = False) -> None:
    """Run the command line, and print errors of this package and of files as one line on stderr.

    Exit with 2 for wrong usage, such as an unknown model, and with 1 if an input cannot be read.

    Args:
        own_process: whether the process is for this command only; then the garbage collector skips modules.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # else a name with letters that the terminal lacks would end the run
            stream.reconfigure(errors="backslashreplace")
    ignore_metadata_warnings()
    _log.handlers = [_Lines()]
    _log.setLevel(logging.INFO)
    try:
        app(prog_name="crowdpoint", obj=own_process)
    except CrowdpointError as error:
        _log.error(escape(str(error)))
        raise SystemExit(
            2 if isinstance(error, ConfigError | MissingExtraError | ModelError) else 1
        ) from error
    except OSError as error:
        if error.strerror is None:
            raise
        if own_process and error.filename is None:  # Python would report the output once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _log.error(escape(f"{error.filename or 'output'}: {error.strerror}"))
        raise SystemExit(1) from error


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crowdpoint {__version__}")
        raise typer.Exit


@app.callback()
def _take_options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_show_version),
    ] = False,
    _verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Also print the engine of a model, and the working size of each image.",
            callback=_be_verbose,
            expose_value=False,
        ),
    ] = False,
    _quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print only results and errors, without progress and warnings.",
            callback=_be_quiet,
            expose_value=False,
        ),
    ] = False,
) -> None:
    pass
