"""How much faster the sparse evaluator is than dense matching, on as many heads as NWPU-Crowd validates on.

The dense way is the textbook one that evaluation scripts take, written here anew in NumPy and plain Python:
all distances of an image in a matrix, and one augmenting path after the other by depth-first search over its
rows. Both ways must give the same digits. `crowdpoint score` is timed on files of the same points, with its
start and its reading. Further ratios are those of growing one matching from 1 to 100 px to matching at each
radius anew, where predictions lie near their heads and where they lie anywhere.

    python benchmarks/score_speed.py                    # 500 images, 196,000 heads, two sigmas per head
    python benchmarks/score_speed.py --protocol qnrf --images 5    # sigma = 1 ... 100 px
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt

from crowdpoint import formats
from crowdpoint.matching import match, match_counts
from crowdpoint.metrics import (
    Localization,
    LocalizationScore,
    average_scores,
    compute_head_sigmas,
    localization_score,
)
from crowdpoint.points import Points

IMAGES, HEADS, MOST = (
    500,
    196_000,
    6_000,
)  # of the real validation set: images, heads, about the largest crowd
RANGE = range(1, 101)

Scores = dict[str, LocalizationScore]


@dataclass(frozen=True)
class Image:
    """Predictions, heads with their boxes, and the two thresholds of each head."""

    predictions: Points
    truth: Points
    sigmas: dict[str, npt.NDArray[np.float64]]


def generate(images: int, seed: int = 0) -> list[Image]:
    """Crowds as uneven as real ones: log-normal counts, clusters, smaller heads in larger crowds."""
    rng = np.random.default_rng(seed)
    weights = rng.lognormal(0, 1.4, IMAGES)
    counts = np.minimum(weights / weights.sum() * HEADS * 1.05, MOST)
    counts = np.round(counts * HEADS / counts.sum()).astype(int)
    return [_crowd(rng, int(count)) for count in counts[:images]]


def _crowd(rng: np.random.Generator, count: int) -> Image:
    size = np.array((3000, 2000))
    centres = rng.uniform(0, size, (8, 2))
    clustered = rng.normal(centres[rng.integers(0, len(centres), count)], 300)
    xy = np.where(rng.random((count, 1)) < 0.5, clustered, rng.uniform(0, size, (count, 2)))
    boxes = rng.lognormal(np.log(600 / np.sqrt(count + 1)), 0.5, (count, 2)).clip(3, 400).round()
    found = rng.random(count) < 0.8
    moved = xy[found] + rng.normal(0, boxes[found] / 4)
    false = rng.uniform(0, size, (count // 6, 2))
    predictions = rng.permutation(np.concatenate((moved, false)))
    return Image(
        _pixels(predictions), replace(_pixels(xy), sizes=boxes.astype(np.float32)), compute_head_sigmas(boxes)
    )


def _pixels(xy: npt.NDArray[np.float64]) -> Points:
    return Points(xy.round().astype(np.float32))


def sparse(images: Sequence[Image], protocol: str) -> Scores:
    """Crowdpoint's own evaluation."""
    localization = Localization((RANGE,) if protocol == "qnrf" else ())
    for image in images:
        sigmas = image.sigmas if protocol == "nwpu" else None
        localization.update(image.predictions, image.truth, sigmas)
    return localization.compute()


def dense(images: Sequence[Image], protocol: str) -> Scores:
    """The same figures from distance matrices and depth-first augmentation."""
    matched: dict[str, int] = {}
    for image in images:
        offsets = image.predictions.xy[:, None].astype(np.float64) - image.truth.xy[None]
        distances = np.sqrt((offsets**2).sum(axis=2))  # (P, G)
        sigmas = image.sigmas if protocol == "nwpu" else {f"{r}": np.float64(r) for r in RANGE}
        for key, sigma in sigmas.items():
            matched[key] = matched.get(key, 0) + _dense_matching(distances <= sigma)
    predicted = sum(len(image.predictions) for image in images)
    true = sum(len(image.truth) for image in images)
    scores = {key: localization_score(count, predicted, true) for key, count in matched.items()}
    return {f"{RANGE[0]}:{RANGE[-1]}": average_scores(scores.values())} if protocol == "qnrf" else scores


def _dense_matching(near: npt.NDArray[np.bool_]) -> int:
    """The size of a largest matching of a (P, G) matrix: an augmenting path for each prediction in turn."""
    rows = near.tolist()
    owner = [-1] * near.shape[1]

    def augment(prediction: int, visited: list[bool]) -> bool:
        for head, is_near in enumerate(rows[prediction]):
            if is_near and not visited[head]:
                visited[head] = True
                if owner[head] < 0 or augment(owner[head], visited):
                    owner[head] = prediction
                    return True
        return False

    return sum(augment(prediction, [False] * len(owner)) for prediction in range(len(rows)))


def time_command(images: Sequence[Image]) -> float:
    """Run `crowdpoint score` on files of the points, with thresholds in whole pixels; return its CPU time."""
    with tempfile.TemporaryDirectory() as folder:
        pred, gt = Path(folder) / "pred.txt", Path(folder) / "gt.txt"
        formats.write(pred, {str(n): image.predictions for n, image in enumerate(images, 1)}, "nwpu")
        formats.write(gt, {str(n): image.truth for n, image in enumerate(images, 1)}, "nwpu-truth")
        command = [sys.executable, "-m", "crowdpoint", "score", "--sigma", "file"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [*command, "--pred", pred, "--gt", gt, "--json"], check=True, stdout=subprocess.DEVNULL
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def time_growth(count: int, seed: int = 0) -> None:
    """Time the radii of 1 to 100 px, growing and one by one; exit with an error if a count differs."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, (6000, 4000), (count, 2))
    near = rng.permutation(truth + rng.normal(0, 3, truth.shape))
    _print_growth("near their heads", near, truth)
    _print_growth("anywhere", rng.uniform(0, (6000, 4000), (count, 2)), truth)


def _print_growth(place: str, predictions: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> None:
    match(predictions, truth, float(RANGE[-1]))  # imports what it needs
    start = process_time()
    grown = match_counts(predictions, truth, [float(radius) for radius in RANGE]).tolist()
    middle = process_time()
    single = [len(match(predictions, truth, float(radius))[0]) for radius in RANGE]
    quick, slow = middle - start, process_time() - middle
    if grown != single:
        sys.exit(f"the counts differ: growing {grown}, radius by radius {single}")
    print(
        f"{RANGE[0]} to {RANGE[-1]} px, {len(truth):,} heads, as many predictions {place}: "
        f"growing {quick:.2f} s, radius by radius {slow:.2f} s of CPU time: {slow / quick:.1f} times faster, "
        "same counts"
    )


def _time(
    score: Callable[[Sequence[Image], str], Scores], images: list[Image], protocol: str
) -> tuple[Scores, float]:
    start = process_time()
    scores = score(images, protocol)
    return scores, process_time() - start


def main() -> None:
    """Time both ways and print the ratio; exit with an error if a digit differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES, help="evaluate only the first ones")
    parser.add_argument("--protocol", choices=("nwpu", "qnrf"), default="nwpu")
    parser.add_argument("--crowd", type=int, default=20_000, help="heads of the crowd of 1 to 100 px")
    arguments = parser.parse_args()
    sys.setrecursionlimit(10 * MOST)  # an augmenting path can pass every prediction
    images = generate(arguments.images)
    heads = sum(len(image.truth) for image in images)
    largest = max(len(image.truth) for image in images)
    print(f"{len(images)} images, {heads:,} heads, at most {largest:,} in one")
    ours, quick = _time(sparse, images, arguments.protocol)
    theirs, slow = _time(dense, images, arguments.protocol)
    for key, score in ours.items():
        print(f"sigma {key}: precision {score.precision:.10f} recall {score.recall:.10f} F1 {score.f1:.10f}")
    if ours != theirs:
        sys.exit(f"the figures differ: sparse {ours}, dense {theirs}")
    print(
        f"sparse {quick:.2f} s, dense {slow:.2f} s of CPU time: {slow / quick:.1f} times faster, same digits"
    )
    if arguments.protocol == "nwpu":
        whole = time_command(images)
        print(
            f"crowdpoint score, whole: {whole:.2f} s of CPU time: {slow / whole:.1f} times faster than dense"
        )
    time_growth(arguments.crowd)


if __name__ == "__main__":
    main()
