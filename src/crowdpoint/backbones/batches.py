"""Apply functions to the images of a batch in threads, and average errors over all processes."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

R = TypeVar("R")


def map_in_threads(function: Callable[..., R], *arguments: Iterable[Any]) -> list[R]:
    """Call a function for each image in threads, as many as torch uses; NumPy and SciPy release the lock."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(function, *arguments))


def average_over_batch(errors: Tensor, over_processes: Callable[[Tensor], Tensor]) -> Tensor:
    """Average the errors (P,) of all processes (see `Method.loss`); 0 without any."""
    return errors.sum() / over_processes(errors.new_tensor(len(errors))).clamp(min=1e-6)
