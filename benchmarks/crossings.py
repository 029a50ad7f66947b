"""Measure how well walking people are counted, and how steady the count of a standing crowd is.

    python benchmarks/crossings.py
    python benchmarks/crossings.py --photos DIR

Drawn crowds walk over a plaza and hide each other; each line across it has a known number of crossings in
both directions. A camera pans along drawn photos, so that everybody in them crosses the middle of the
picture. And a camera looks at crowds that stand still, in noise. Heads that nobody could see when they
crossed count as well.

`--photos` takes a folder of annotated photos, a dataset of the kind `folder`: a camera with half the width of
the photo pans along each, and looks at the left half in noise. Crossings are compared with the annotated
heads, and with the heads that the model finds on the whole photo, which leaves the errors of tracking.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import path

import numpy as np

path.append(str(Path(__file__).parents[1] / "scripts"))

from draw_crowd import draw
from draw_walk import walk

from crowdpoint import datasets, images
from crowdpoint.counts import Count
from crowdpoint.points import FloatArray, Picture
from crowdpoint.predict import Predictor
from crowdpoint.video.frames import Frame
from crowdpoint.video.watcher import Watcher
from crowdpoint.zones import Zones
from crowdpoint.zoo import DEFAULT_MODEL

RATE = 8.0
"""Frames per second."""

SIZE = (960, 540)
"""Width and height of the drawn videos in pixels."""

WALKS = ((0, 32), (1, 32), (2, 32), (3, 16), (4, 64))
"""Seed and people of each walk."""

GROUP = (12, 32, 4)
"""Seed, people and size of the groups of a walk side by side, which is not in the sum."""

PANS = ((3, 150), (6, 60))
"""Seed and people of each drawn photo that the camera pans along."""

CROWDS = ((5, 110, 12.0), (7, 40, 12.0), (8, 250, 12.0), (10, 110, 25.0))
"""Seed, people and standard deviation of the noise (of 255 levels) of each standing crowd."""

CLEARANCE = 5.0
"""Pixels by which a head must be beyond a line: a third of a head."""

SETTLED = round(3 * RATE)
"""Frames that are left out of the comparison of a standing crowd."""

Pair = tuple[int, int]
Pictures = Iterator[Picture]


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture and its heads, (N, 2) in pixels."""

    name: str
    picture: Picture
    heads: FloatArray


def build_lines(columns: Iterable[float], rows: Iterable[float], size: Pair) -> Zones:
    """Build lines down and across the picture, at fractions of its width and height."""
    width, height = size
    down = [((width * at, 0.0), (width * at, float(height))) for at in columns]
    across = [((0.0, height * at), (float(width), height * at)) for at in rows]
    named = [{"name": f"line {number}", "line": line} for number, line in enumerate([*down, *across])]
    return Zones.model_validate({"lines": named})


def watch(predictor: Predictor, zones: Zones, pictures: Pictures) -> list[Count]:
    """Count the frames as `crowdpoint video` does."""
    watcher = Watcher(predictor, RATE, zones)
    frames = (Frame(index, index / RATE, None, picture) for index, picture in enumerate(pictures))
    counts, frame = [], next(frames)
    for following in frames:
        counts.append(watcher.see(frame).count)
        frame = following
    return [*counts, watcher.see(frame, last=True).count]


def sum_crossings(count: Count) -> Pair:
    """Sum the crossings of all lines so far: in, and out."""
    return sum(line.inward for line in count.lines), sum(line.outward for line in count.lines)


def compute_crossings(heads: FloatArray, zones: Zones, size: Pair) -> Pair:
    """Count how often the (T, N, 2) heads cross a line within the picture: in, and out.

    A head that comes within `CLEARANCE` of a line, and returns, has not crossed it.
    """
    inward = outward = 0
    inside = np.all((heads >= 0) & (heads < size), axis=2)
    for line in zones.lines:
        (x, y), (end_x, end_y) = line.line
        left = (end_y - y) * (heads[..., 0] - x) - (end_x - x) * (heads[..., 1] - y)
        left /= np.hypot(end_x - x, end_y - y)
        for distances, seen in zip(left.T, inside.T, strict=True):
            edges = np.flatnonzero(np.diff(seen, prepend=False, append=False))
            for begin, end in edges.reshape(-1, 2):
                way = distances[begin:end]
                clear = np.abs(way) >= CLEARANCE
                clear[[0, -1]] = True
                steps = np.diff(np.where(way[clear] >= 0, 1, -1))
                inward += int((steps > 0).sum())
                outward += int((steps < 0).sum())
    return inward, outward


def walked(
    predictor: Predictor, seed: int, people: int, seconds: float, abreast: int = 1
) -> tuple[Pair, Pair]:
    """Count the crossings of a walking crowd: true and found."""
    zones = build_lines((0.34, 0.5, 0.67), (0.37, 0.5, 0.61), SIZE)
    heads: list[FloatArray] = []

    def draw_pictures() -> Pictures:
        for frame in walk(seconds, RATE, people, SIZE, seed, abreast):
            heads.append(frame.heads)
            yield frame.picture

    found = sum_crossings(watch(predictor, zones, draw_pictures())[-1])
    return compute_crossings(np.stack(heads), zones, SIZE), found


def panned(
    predictor: Predictor, photo: Photo, width: int, frames: int
) -> tuple[Callable[[FloatArray], Pair], Pair]:
    """Count the crossings of the middle of the picture while a camera moves along a photo to the right.

    Returns:
        Function from heads on the photo, (N, 2), to true crossings; and the crossings found.
    """
    height, whole, _ = photo.picture.shape
    lefts = np.linspace(0, whole - width, frames).astype(int)
    zones = build_lines((0.5,), (), (width, height))
    pictures = (np.ascontiguousarray(photo.picture[:, left : left + width]) for left in lefts)
    found = sum_crossings(watch(predictor, zones, pictures)[-1])

    def compute_true(heads: FloatArray) -> Pair:
        moves = np.stack((lefts, np.zeros_like(lefts)), axis=1)[:, None].astype(np.float32)
        return compute_crossings(heads[None] - moves, zones, (width, height))

    return compute_true, found


def watch_noise(predictor: Predictor, picture: Picture, noise: float, frames: int) -> list[Count]:
    """Count a crowd that stands still, in noise, also in a small zone in the middle of the picture."""
    height, width, _ = picture.shape
    left, right, top, bottom = 0.52 * width, 0.67 * width, 0.42 * height, 0.62 * height
    small = [(left, top), (right, top), (right, bottom), (left, bottom)]
    zones = Zones.model_validate({"zones": [{"name": "small", "polygon": small}]})
    rng = np.random.default_rng(0)
    noisy = (
        np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8) for _ in range(frames)
    )
    return watch(predictor, zones, noisy)


def format_steadiness(values: Sequence[int]) -> str:
    """Format the range and the changes of a count, after it has settled, as two cells of a row."""
    settled = values[SETTLED:]
    changes = int(np.count_nonzero(np.diff(settled)))
    low, high = min(settled), max(settled)
    return f"{low}{f'-{high}' * (high > low)} | {changes} of {len(settled) - 1}"


def print_crossings(name: str, true: Pair, found: Pair) -> None:
    """Print a row of the table of crossings."""
    error = (sum(found) - sum(true)) / sum(true)
    print(f"| {name} | {true[0]} | {found[0]} | {true[1]} | {found[1]} | {100 * error:+.1f} % |", flush=True)


def print_walking(predictor: Predictor, seconds: float) -> None:
    """Print how many crossings of walking people are found."""
    print("| video | true in | found in | true out | found out | error of the sum |")
    print("|---|---|---|---|---|---|", flush=True)
    rows = []
    for seed, people in WALKS:
        rows.append(walked(predictor, seed, people, seconds))
        print_crossings(f"{people} people walk, seed {seed}", *rows[-1])
    for seed, people in PANS:
        picture, points = draw(3 * SIZE[0], SIZE[1], people, seed=seed)
        compute_true, found = panned(predictor, Photo("", picture, points.xy), SIZE[0], round(seconds * RATE))
        rows.append((compute_true(points.xy), found))
        print_crossings(f"pan over {people} people, seed {seed}", *rows[-1])
    true, found = np.sum(rows, axis=0).tolist()
    print_crossings("all", true, found)
    seed, people, abreast = GROUP
    pair = walked(predictor, seed, people, seconds, abreast)
    print_crossings(f"{people} people walk in groups of {abreast}, seed {seed}", *pair)


def print_photos(predictor: Predictor, photos: Sequence[Photo], seconds: float) -> None:
    """Print how many crossings are found while a camera pans along photos."""
    print(
        "| panned photo | annotated | found on the photo | crossings | error to annotated | error to found |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    rows = []
    for photo in photos:
        compute_true, found = panned(predictor, photo, photo.picture.shape[1] // 2, round(seconds * RATE))
        once = predictor.predict(photo.picture).xy
        rows.append((sum(compute_true(photo.heads)), sum(compute_true(once)), sum(found)))
        print_photo(photo.name, *rows[-1])
    print_photo("all", *np.sum(rows, axis=0).tolist())


def print_photo(name: str, annotated: int, once: int, found: int) -> None:
    """Print a row of the table of panned photos."""
    errors = [f"{100 * (found - true) / true:+.1f} %" if true else "" for true in (annotated, once)]
    print(f"| {name} | {annotated} | {once} | {found} | {errors[0]} | {errors[1]} |", flush=True)


def print_standing(predictor: Predictor, crowds: Iterable[tuple[str, Picture, float]], frames: int) -> None:
    """Print how much the counts of crowds that stand still change in noise."""
    columns = ("count", "smoothed", "count of a small zone", "smoothed of a small zone")
    print(f"| standing crowd, noise | {' | changes | '.join(columns)} | changes |")
    print("|---" * (2 * len(columns) + 1) + "|", flush=True)
    for name, picture, noise in crowds:
        counts = watch_noise(predictor, picture, noise, frames)
        zones = [count.zones[0] for count in counts]
        cells = [
            format_steadiness([getattr(count, kind) for count in source])
            for source in (counts, zones)
            for kind in ("count", "smoothed")
        ]
        print(f"| {name}, {noise:g} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--seconds", type=float, default=14, help="length of each video")
    parser.add_argument("--threads", type=int)
    parser.add_argument(
        "--photos", type=Path, help="folder of annotated photos to measure instead of drawings"
    )
    parser.add_argument("--only", choices=("walking", "standing"), help="one of the tables")
    given = parser.parse_args()
    predictor = Predictor.load(given.model, threads=given.threads)
    samples = [] if given.photos is None else datasets.load("folder", given.photos, "test")
    photos = [Photo(own.name, images.read(own.image), own.points().xy) for own in samples]
    if given.only != "standing":
        if photos:
            print_photos(predictor, photos, given.seconds)
        else:
            print_walking(predictor, given.seconds)
    if given.only is None:
        print()
    if given.only != "walking":
        if photos:
            crowds = [(own.name, own.picture[:, : own.picture.shape[1] // 2], 12.0) for own in photos]
        else:
            crowds = [
                (f"{people} people, seed {seed}", draw(*SIZE, people, seed=seed)[0], noise)
                for seed, people, noise in CROWDS
            ]
        print_standing(predictor, crowds, round(given.seconds * RATE))


if __name__ == "__main__":
    main()
