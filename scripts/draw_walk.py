"""Draws a crowd that walks over a plaza, and says where every head is on every frame.

People walk to the left, to the right, towards the camera and away from it, at paces of their own, and hide
each other on their ways. `python scripts/draw_walk.py walk.mp4` writes a video, which needs the extra
`video`.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from draw_crowd import paving_and_houses, shadows
from draw_people import Array, Camera, Canvas, Person

from crowdpoint.video.writer import VideoWriter

NEAREST, FARTHEST = 9.0, 26.0
"""Metres ahead of the camera between which people walk."""

STEP_METRES = 0.7

ABREAST_METRES = 0.65
"""Metres between people who walk side by side."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the walk.

    Attributes:
        seconds: since the first.
        picture: (H, W, 3) uint8 RGB.
        heads: (N, 2) pixels (x, y) of all N heads in the order of the people, seen or not; NaN for people who
            are too near or too far to be drawn.
        visible: (N,) whether at least a third of the head is seen.
    """

    seconds: float
    picture: npt.NDArray[np.uint8]
    heads: Array
    visible: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Walker:
    """One person and the way ahead: metres, and metres a second."""

    seed: int
    start: tuple[float, float]
    velocity: tuple[float, float]
    sway: float

    def at(self, seconds: float, camera: Camera) -> Person:
        walked = seconds * float(np.hypot(*self.velocity))
        x = self.start[0] + seconds * self.velocity[0] + 0.25 * np.sin(self.sway + 0.4 * walked)
        z = self.start[1] + seconds * self.velocity[1] + 0.25 * np.cos(self.sway + 0.3 * walked)
        facing = float(np.arctan2(self.velocity[0], -self.velocity[1]))
        phase = self.sway + np.pi * walked / STEP_METRES
        return Person(np.random.default_rng(self.seed), camera, (x, z), facing, phase)


def walk(
    seconds: float = 16.0,
    rate: float = 10.0,
    people: int = 36,
    size: tuple[int, int] = (960, 540),
    seed: int = 0,
    abreast: int = 1,
) -> Iterator[Frame]:
    """Draw a walking crowd; the same arguments give the same pictures.

    Args:
        seconds: how long it is.
        rate: frames a second.
        people: how many walk; some come into the picture late, and some leave it.
        size: (width, height) of the pictures in pixels.
        seed: which crowd.
        abreast: number of people who walk side by side in a group.
    """
    rng = np.random.default_rng(seed)
    camera = Camera(*size, elevation=6.0, pitch=0.30)
    scene = paving_and_houses(camera, rng)
    walkers = [walker for _ in range(people // abreast) for walker in _group(rng, seconds, abreast)]
    for number in range(round(seconds * rate)):
        yield _frame(number / rate, scene, camera, walkers, rng)


def _walker(rng: np.random.Generator, seconds: float) -> _Walker:
    """Somebody whose way leads through the middle of the scene at some time."""
    pace = rng.uniform(0.9, 1.6)
    direction = rng.choice((0.0, 0.5, 1.0, 1.5)) * np.pi + rng.normal(0, 0.12)
    velocity = (pace * float(np.cos(direction)), pace * float(np.sin(direction)))
    middle = (rng.uniform(-3.5, 3.5), rng.uniform(NEAREST + 4, FARTHEST - 6))
    met = rng.uniform(-0.1, 1.1) * seconds
    start = (middle[0] - met * velocity[0], middle[1] - met * velocity[1])
    return _Walker(int(rng.integers(2**32)), start, velocity, float(rng.uniform(0, 2 * np.pi)))


def _group(rng: np.random.Generator, seconds: float, abreast: int) -> Iterator[_Walker]:
    """Yield the walkers of a group, each to the left of the one before."""
    first = _walker(rng, seconds)
    (x, z), (dx, dz) = first.start, first.velocity
    apart = ABREAST_METRES / float(np.hypot(dx, dz))
    yield first
    for place in range(1, abreast):
        start = (x - place * apart * dz, z + place * apart * dx)
        yield replace(first, seed=int(rng.integers(2**32)), start=start)


def _frame(
    seconds: float, scene: Array, camera: Camera, walkers: list[_Walker], rng: np.random.Generator
) -> Frame:
    canvas = Canvas(scene.copy())
    crowd = [walker.at(seconds, camera) for walker in walkers]
    near = [number for number, person in enumerate(crowd) if NEAREST - 2 < person.place[1] < FARTHEST + 14]
    near.sort(key=lambda number: -crowd[number].place[1])
    shadows(canvas, camera, [crowd[number].place for number in near])
    visible = np.zeros(len(crowd), np.bool_)
    covered = {number: crowd[number].draw(canvas, number) for number in near}
    seen = np.bincount(canvas.heads[canvas.heads >= 0], minlength=len(crowd))
    for number, pixels in covered.items():
        visible[number] = bool(pixels) and seen[number] >= pixels / 3
    noise = rng.normal(0, 0.012, canvas.picture.shape[:2])[..., None]
    picture = np.rint(255 * np.clip(canvas.picture + noise, 0, 1)).astype(np.uint8)
    heads = np.full((len(crowd), 2), np.nan, np.float32)
    heads[near] = [crowd[number].head for number in near]
    return Frame(seconds, picture, heads, visible)


def main() -> None:
    """Writes a video."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="video to write, .mp4, .mov or .mkv")
    parser.add_argument("--seconds", type=float, default=16)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--people", type=int, default=36)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    video = VideoWriter(arguments.out, arguments.rate)
    for frame in walk(arguments.seconds, arguments.rate, arguments.people, seed=arguments.seed):
        video.write(frame.picture, frame.seconds)
    video.close()


if __name__ == "__main__":
    main()
