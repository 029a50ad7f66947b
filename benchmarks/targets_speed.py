"""Times target maps and local maxima of a 1024x768 image on one core: python benchmarks/targets_speed.py."""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np

from crowdpoint.peaks import knn_boxes, local_maxima
from crowdpoint.points import Points
from crowdpoint.targets import density_map, fidt_map, idt_map


def milliseconds(task: Callable[[], object], repeats: int) -> float:
    """The fastest of some runs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1024x768", help="width x height")
    parser.add_argument("--heads", type=int, nargs="+", default=[0, 1, 100, 1000, 10_000])
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    tasks: dict[str, Callable[[Points], object]] = {
        "fidt_map": fidt_map,
        "idt_map": idt_map,
        "density_map sigma=4": lambda points: density_map(points, sigma=4),
        "density_map sigma=15": lambda points: density_map(points, sigma=15),
        "density_map adaptive": lambda points: density_map(points, adaptive=True),
        "knn_boxes": knn_boxes,
    }
    print(f"{width}x{height}, milliseconds, fastest of {options.repeats}")
    print(f"{'heads':>24}" + "".join(f"{count:>9}" for count in options.heads))
    xy = [random.random((count, 2)) * (width, height) for count in options.heads]
    crowds = [Points(each.astype(np.float32), image_size=(width, height)) for each in xy]
    for name, task in tasks.items():
        times = [milliseconds(lambda t=task, c=crowd: t(c), options.repeats) for crowd in crowds]  # type: ignore[misc]
        print(f"{name:>24}" + "".join(f"{each:9.2f}" for each in times))
    for name, merge, refine in (
        ("local_maxima", False, False),
        ("with merged plateaus", True, False),
        ("with refinement", False, True),
    ):
        times = []
        for crowd in crowds:
            noise = random.normal(0, 0.02, (height, width))  # a trained network's map ripples
            found = (fidt_map(crowd) + noise).astype(np.float32)
            times.append(
                milliseconds(
                    lambda m=found, p=merge, r=refine: local_maxima(m, merge_plateaus=p, refine=r),  # type: ignore[misc]
                    options.repeats,
                )
            )
        print(f"{name:>24}" + "".join(f"{each:9.2f}" for each in times))


if __name__ == "__main__":
    main()
