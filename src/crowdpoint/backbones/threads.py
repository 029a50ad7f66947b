"""Work on the images of a batch in threads, while a loss waits for it."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

R = TypeVar("R")


def map_in_threads(function: Callable[..., R], *arguments: Iterable[Any]) -> list[R]:
    """Call a function for each image in threads, as many as torch uses; NumPy and SciPy release the lock."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(function, *arguments))
