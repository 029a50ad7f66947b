"""The progress bar of commands that evaluate."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], count: int, task: str) -> Iterator[Item]:
    """Yield the items, of which there are `count`; a terminal shows a bar named `task` meanwhile."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    yield from progress.track(items, task, count, console=console, disable=not console.is_terminal)
