"""Times target maps and local maxima of a 1024x768 image: python benchmarks/targets_speed.py.

In CPU time of one thread, which a busy machine changes little.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import cv2
import numpy as np

from crowdpoint.methods.density.targets import density_map
from crowdpoint.methods.fidtm.config import LMDSConfig
from crowdpoint.methods.fidtm.peaks import local_maxima
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.neighbors import knn_boxes
from crowdpoint.points import Points

T = TypeVar("T")


def print_row(name: str, task: Callable[[T], object], inputs: Sequence[T], repeats: int) -> None:
    """The fastest of some runs for each input, in milliseconds."""
    print(f"{name:>24}", end="")
    for value in inputs:
        taken = []
        for _ in range(repeats):
            start = time.process_time()
            task(value)
            taken.append(time.process_time() - start)
        print(f"{1000 * min(taken):9.2f}", end="", flush=True)
    print()


def main() -> None:
    """Prints a row for each map and a column for each number of heads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1024x768", help="width x height")
    parser.add_argument("--heads", type=int, nargs="+", default=[0, 1, 100, 1000, 10_000])
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    print(f"{width}x{height}, milliseconds of one core, fastest of {options.repeats}")
    print(f"{'heads':>24}" + "".join(f"{count:>9}" for count in options.heads))
    xy = [random.random((count, 2)) * (width, height) for count in options.heads]
    crowds = [Points(each.astype(np.float32), image_size=(width, height)) for each in xy]
    tasks: dict[str, Callable[[Points], object]] = {
        "fidt_map": fidt_map,
        "fidt_map, as IDT map": partial(fidt_map, alpha=0, beta=1),
        "density_map sigma=4": partial(density_map, sigma=4),
        "density_map sigma=15": partial(density_map, sigma=15),
        "density_map adaptive": partial(density_map, adaptive=True),
        "knn_boxes": knn_boxes,
    }
    for name, task in tasks.items():
        print_row(name, task, crowds, options.repeats)
    # a trained network's map ripples
    noise = random.normal(0, 0.02, (height, width)).astype(np.float32)
    maps = [fidt_map(crowd) + noise for crowd in crowds]
    print_row("local_maxima", local_maxima, maps, options.repeats)
    print_row(
        "merging plateaus", partial(local_maxima, lmds=LMDSConfig(merge_plateaus=True)), maps, options.repeats
    )
    print_row("refining", partial(local_maxima, lmds=LMDSConfig(refine=True)), maps, options.repeats)


if __name__ == "__main__":
    main()
