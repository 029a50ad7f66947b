"""The methods, with a folder for each paper. No other module lists them."""

from typing import Any

from crowdpoint.methods.density import DENSITY
from crowdpoint.methods.fidtm import FIDTM
from crowdpoint.methods.method import Method, Official, OverProcesses, Piece, ReferencePoints
from crowdpoint.methods.p2pnet import P2PNET

__all__ = ["METHODS", "Method", "Official", "OverProcesses", "Piece", "ReferencePoints", "register"]

METHODS: dict[str, Method[Any, Any]] = {}
"""Name -> method."""


def register(method: Method[Any, Any]) -> None:
    """Register a method for recipes, training and prediction; its name is a value of `model.method`.

    Raises:
        ValueError: if another method has this name.
    """
    if METHODS.setdefault(method.name, method) is not method:
        raise ValueError(f"method: {method.name!r} is registered already; choose another name")


for _method in (P2PNET, FIDTM, DENSITY):
    register(_method)
