"""`crowdpoint models`: list the named models."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from crowdpoint import zoo


def models(as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False) -> None:
    """List the named models."""
    if as_json:
        keys = ("name", "method", "embedded", "parameters", "description")
        typer.echo(
            json.dumps([{key: getattr(model, key) for key in keys} for model in zoo.list_models()], indent=2)
        )
        return

    table = Table("name", "method", "weights", "parameters", "description")
    for model in zoo.list_models():
        weights = "embedded" if model.embedded else "not embedded"
        table.add_row(model.name, model.method, weights, f"{model.parameters / 1e6:.1f} M", model.description)
    Console().print(table)
