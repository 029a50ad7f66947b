"""`crowdpoint models`: list the named models."""

import json
from typing import Annotated

import typer

from crowdpoint import zoo
from crowdpoint.console import print_table


def models(as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False) -> None:
    """List the named models."""
    if as_json:
        keys = ("name", "method", "embedded", "parameters", "description")
        typer.echo(
            json.dumps([{key: getattr(model, key) for key in keys} for model in zoo.list_models()], indent=2)
        )
        return
    rows = (
        (
            model.name,
            model.method,
            "embedded" if model.embedded else "not embedded",
            f"{model.parameters / 1e6:.1f} M",
            model.description,
        )
        for model in zoo.list_models()
    )
    print_table(("name", "method", "weights", "parameters", "description"), rows, left=5)
