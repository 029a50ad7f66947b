"""Draws pictures without people, on which a model should find nobody.

`python scripts/draw_empty.py empty` writes them as PNG files into the folder `empty`; then
`crowdpoint predict empty` counts who is not there.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from draw_crowd import draw
from PIL import Image, ImageDraw, ImageFont

Picture = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 800, 600
WORDS = tuple("the of and a to in is that it was for on are with as his they be at one".split())  # noqa: SIM905


def plaza(rng: np.random.Generator) -> Picture:
    """The plaza of `draw_crowd.py`, deserted."""
    return draw(WIDTH, HEIGHT, people=0, seed=int(rng.integers(100)))[0]


def landscape(rng: np.random.Generator) -> Picture:
    """Hills behind hills under a cloudy sky, firs in front."""
    y = np.linspace(0, 1, HEIGHT)[:, None, None]
    picture = (np.array((0.45, 0.65, 0.92)) * (1 - 0.3 * y) + 0.3 * y) * np.ones((1, WIDTH, 1))
    clouds = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH)), (0, 0), 45)
    clouds = (clouds - clouds.min()) / np.ptp(clouds)
    picture += (0.35 * clouds**2 * (1 - y[..., 0]))[..., None]
    x = np.arange(WIDTH)
    for depth in range(4):
        phases = rng.uniform(0, 2 * np.pi, 5)
        waves = [np.sin(x / WIDTH * 3 * (n + 1) + phase) / (n + 1) for n, phase in enumerate(phases)]
        ridge = HEIGHT * (0.42 + 0.11 * depth) + 45 * np.sum(waves, axis=0)
        green = np.array((0.50 - 0.10 * depth, 0.62 - 0.07 * depth, 0.62 - 0.14 * depth))
        picture[np.arange(HEIGHT)[:, None] > ridge] = green
    picture += 0.05 * cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH, 1)), (0, 0), 1.2)[..., None]
    canvas = np.clip(255 * picture, 0, 255).astype(np.uint8)
    for _ in range(45):
        foot, size = rng.integers((0, 450), (WIDTH, HEIGHT)), int(rng.integers(25, 80))
        for tier in range(4):
            top, half = foot[1] - size + tier * size // 5, (tier + 1) * size // 11
            corners = np.array(
                [(foot[0], top), (foot[0] - half, top + size // 3), (foot[0] + half, top + size // 3)]
            )
            shade = int(45 + 12 * tier)
            cv2.fillPoly(canvas, [corners.astype(np.int32)], (shade // 2, shade, shade // 2), cv2.LINE_AA)
    return canvas


def text(rng: np.random.Generator) -> Picture:
    """A printed page."""
    page = Image.new("RGB", (WIDTH, HEIGHT), (250, 248, 242))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(17)
    for top in range(30, HEIGHT - 40, 26):
        line = " ".join(rng.choice(WORDS, 18))
        pen.text((40, top), line[:80], (20, 20, 24), font)
    return np.asarray(page)


def chequerboard(_rng: np.random.Generator) -> Picture:
    """Squares of 20 pixels."""
    rows, columns = np.indices((HEIGHT, WIDTH)) // 20
    return np.repeat(np.where((rows + columns) % 2, 235, 25).astype(np.uint8)[..., None], 3, axis=2)


def bricks(rng: np.random.Generator) -> Picture:
    """A wall."""
    canvas = np.full((HEIGHT, WIDTH, 3), 190, np.uint8)
    for row in range(0, HEIGHT, 20):
        for left in range(-(row // 20 % 2) * 24, WIDTH, 48):
            color = np.array((150, 70, 55)) + rng.integers(-25, 26)
            cv2.rectangle(canvas, (left + 2, row + 2), (left + 45, row + 17), color.tolist(), -1)
    return cv2.GaussianBlur(canvas, (0, 0), 0.8).astype(np.uint8)


def blobs(rng: np.random.Generator) -> Picture:
    """Soft discs of all colours and sizes."""
    canvas = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for _ in range(120):
        center = rng.integers((0, 0), (WIDTH, HEIGHT)).tolist()
        cv2.circle(
            canvas, center, int(rng.integers(5, 45)), rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA
        )
    return cv2.GaussianBlur(canvas, (0, 0), 2).astype(np.uint8)


def noise(rng: np.random.Generator) -> Picture:
    """Every pixel by chance."""
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def gray_noise(rng: np.random.Generator) -> Picture:
    """Grey grain of three pixels, as of a dark photo."""
    grain = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)), (0, 0), 1.5)
    gray = np.clip(90 + 25 * grain / grain.std(), 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


PICTURES: tuple[Callable[[np.random.Generator], Picture], ...] = (
    plaza,
    landscape,
    text,
    chequerboard,
    bricks,
    blobs,
    noise,
    gray_noise,
)


def write(folder: Path) -> None:
    """Writes every picture as NAME.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for paint in PICTURES:
        Image.fromarray(paint(np.random.default_rng(0))).save(folder / f"{paint.__name__}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
