"""How well people who walk are counted: python benchmarks/crossings.py.

Two drawn crowds walk over a plaza and hide each other; each line across it has a known number of crossings in
both directions. A camera pans along a drawn photo, so that everybody in it crosses the middle of the picture.
And a camera looks at a crowd that stands still, in noise. Heads that nobody could see when they crossed count
as well.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from sys import path

import numpy as np
import numpy.typing as npt

path.append(str(Path(__file__).parents[1] / "scripts"))

from draw_crowd import draw
from draw_walk import walk

from crowdpoint.predict import Predictor
from crowdpoint.video.frames import Frame
from crowdpoint.video.watcher import Sighting, Watcher
from crowdpoint.zones import Zones
from crowdpoint.zoo import DEFAULT_MODEL

RATE = 8.0
"""Frames a second."""

SIZE = (960, 540)

Pair = tuple[int, int]
Pictures = Iterator[tuple[float, npt.NDArray[np.uint8]]]


def lines(columns: Iterable[float], rows: Iterable[float]) -> Zones:
    """Lines down and across the picture, at fractions of its width and height."""
    width, height = SIZE
    down = [((width * at, 0.0), (width * at, float(height))) for at in columns]
    across = [((0.0, height * at), (float(width), height * at)) for at in rows]
    named = [{"name": f"line {number}", "line": line} for number, line in enumerate([*down, *across])]
    return Zones.model_validate({"lines": named})


def watch(predictor: Predictor, zones: Zones, pictures: Pictures) -> list[Sighting]:
    """What `crowdpoint video` would see."""
    watcher = Watcher(predictor, RATE, zones)
    return [
        watcher.see(Frame(index, seconds, None, picture)) for index, (seconds, picture) in enumerate(pictures)
    ]


def crossings(heads: npt.NDArray[np.float32], zones: Zones) -> Pair:
    """People of (T, N, 2) heads who cross each line within the picture, and do not come back: in, and out."""
    inward = outward = 0
    inside = np.all((heads >= 0) & (heads < SIZE), axis=2)
    kept: npt.NDArray[np.bool_] = inside[:-1] & inside[1:]
    for line in zones.lines:
        (x, y), (end_x, end_y) = line.line
        right = (end_x - x) * (heads[..., 1] - y) - (end_y - y) * (heads[..., 0] - x) > 0
        steps = (right[:-1].astype(int) - right[1:]) * kept
        inward += int((steps.sum(axis=0) > 0).sum())
        outward += int((steps.sum(axis=0) < 0).sum())
    return inward, outward


def pan(picture: npt.NDArray[np.uint8], frames: int) -> Pictures:
    """A camera that moves along a photo from left to right."""
    for frame, left in enumerate(pan_lefts(picture, frames)):
        yield frame / RATE, np.ascontiguousarray(picture[:, left : left + SIZE[0]])


def pan_lefts(picture: npt.NDArray[np.uint8], frames: int) -> list[int]:
    """The left edge of the camera's view on each frame."""
    return [int(left) for left in np.linspace(0, picture.shape[1] - SIZE[0], frames)]


def counted(sightings: list[Sighting]) -> Pair:
    """All crossings that were found in one video: in, and out."""
    lines = sightings[-1].count.lines
    return sum(line.inward for line in lines), sum(line.outward for line in lines)


def show(name: str, true: Pair, found: Pair) -> None:
    """Prints a row of the table."""
    error = (sum(found) - sum(true)) / sum(true)
    print(f"| {name} | {true[0]} | {found[0]} | {true[1]} | {found[1]} | {100 * error:+.1f} % |", flush=True)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--seconds", type=float, default=14)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", choices=("walking", "standing"), help="one of the tables")
    arguments = parser.parse_args()
    predictor = Predictor.load(arguments.model, threads=arguments.threads)
    frames = round(arguments.seconds * RATE)
    if arguments.only != "standing":
        walking(predictor, arguments.seconds, frames)
    if arguments.only is None:
        print()
    if arguments.only != "walking":
        still(predictor, frames)


def walking(predictor: Predictor, seconds: float, frames: int) -> None:
    """Prints how many crossings of people who walk are found."""
    print("| video | true in | found in | true out | found out | error of the sum |")
    print("|---|---|---|---|---|---|", flush=True)
    rows = [walked(predictor, seed, seconds) for seed in (0, 1)]
    rows.append(panned(predictor, frames))
    true, found = np.sum(rows, axis=0).tolist()
    show("all", true, found)


def walked(predictor: Predictor, seed: int, seconds: float) -> tuple[Pair, Pair]:
    """Prints a row for a walking crowd, and returns what is true and what was found."""
    parts = lines((0.34, 0.5, 0.67), (0.37, 0.5, 0.61))
    heads: list[npt.NDArray[np.float32]] = []

    def pictures() -> Pictures:
        for frame in walk(seconds, RATE, 32, SIZE, seed):
            heads.append(frame.heads)
            yield frame.seconds, frame.picture

    found = counted(watch(predictor, parts, pictures()))
    true = crossings(np.stack(heads), parts)
    show(f"walk {seed}", true, found)
    return true, found


def panned(predictor: Predictor, frames: int) -> tuple[Pair, Pair]:
    """Prints a row for a panned photo, and returns what is true and what was found."""
    photo, points = draw(3 * SIZE[0], SIZE[1], 150, seed=3)
    parts = lines((0.5,), ())
    lefts = np.array(pan_lefts(photo, frames), np.float32)
    seen = points.xy[None] - np.stack((lefts, np.zeros_like(lefts)), axis=1)[:, None]
    true, found = crossings(seen, parts), counted(watch(predictor, parts, pan(photo, frames)))
    show("pan", true, found)
    return true, found


def still(predictor: Predictor, frames: int) -> None:
    """Prints how much the counts of a crowd that stands still change in noise."""
    picture, _ = draw(*SIZE, 110, seed=5)
    rng = np.random.default_rng(0)
    small = [[500, 230], [640, 230], [640, 330], [500, 330]]
    parts = Zones.model_validate({"zones": [{"name": "small", "polygon": small}]})

    def noisy() -> Pictures:
        for frame in range(frames):
            noise = rng.normal(0, 12, picture.shape)
            yield frame / RATE, np.clip(picture + noise, 0, 255).astype(np.uint8)

    counts = [sighting.count for sighting in watch(predictor, parts, noisy())]
    settled = counts[round(3 * RATE) :]
    print("| standing crowd in noise | least | most | changes |\n|---|---|---|---|", flush=True)
    for name, values in (
        ("count", [count.count for count in settled]),
        ("smoothed", [count.smoothed for count in settled]),
        ("count of a small zone", [count.zones[0].count for count in settled]),
        ("smoothed of a small zone", [count.zones[0].smoothed for count in settled]),
    ):
        changes = int(np.count_nonzero(np.diff(values)))
        print(f"| {name} | {min(values):g} | {max(values):g} | {changes} of {len(values) - 1} |", flush=True)


if __name__ == "__main__":
    main()
