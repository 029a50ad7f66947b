"""Draws a crowd on a plaza, in perspective, and says where every visible head is.

No photo of real people may go into this project, so its pictures and its tests use drawn ones:
`python scripts/draw_crowd.py crowd.jpg` writes the picture, and the heads beside it as `crowd.json`.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from draw_people import CLOTHES, HAZE, Array, Camera, Canvas, Person, palette, pick, solid

from crowdpoint import formats
from crowdpoint.points import Points

FACADES = palette("d6be9e c49e80 ded0ba b69688 ccc4b8 beac8c")


def paving_and_houses(camera: Camera, rng: np.random.Generator) -> Array:
    """Draws the empty plaza: sky, a row of houses and paving, (H, W, 3) in [0, 1]."""
    x, y = camera.rays(2)
    picture = np.empty((*y.shape, 3), np.float32)
    top = np.clip(y * 3.2, 0, 1)[..., None]
    picture[:] = np.array((0.90, 0.92, 0.93)) + top * np.array((-0.42, -0.26, -0.05))
    _houses(picture, x, y, camera, rng)
    _paving(picture, x, y, camera, rng)
    size = (camera.width, camera.height)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _houses(picture: Array, x: Array, y: Array, camera: Camera, rng: np.random.Generator) -> None:
    distance = 72.0
    across, up = x * distance, camera.elevation + y * distance
    edges = np.cumsum(rng.uniform(8, 15, 16)) - 90
    house = np.clip(np.searchsorted(edges, across), 0, 16)
    storey = rng.uniform(3.1, 3.8, 17)
    heights, storeys = (5.1 + rng.integers(2, 4, 17) * storey)[house], storey[house]
    colors = np.stack([pick(rng, FACADES) for _ in range(17)])[house].astype(np.float32)
    left = np.append(-1e3, edges)[house]
    bay = rng.uniform(2.2, 3.0, 17)[house]
    column, row = (across - left) / bay % 1, (up - 4.2) / storeys % 1
    upstairs = (up > 4.2) & (up < heights - 0.9)
    pane = upstairs & (np.abs(column - 0.5) < 0.24) & (row > 0.22) & (row < 0.80)
    frame = upstairs & (np.abs(column - 0.5) < 0.29) & (row > 0.17) & (row < 0.86)
    facade = colors * (0.80 + 0.10 * np.clip(up / 16, 0, 1))[..., None]
    facade[frame] *= 1.14
    gleam = 0.25 * (row - 0.3) + 0.10 * rng.random(17)[house]
    glass = np.array((0.30, 0.36, 0.42)) + gleam[..., None]
    facade[pane] = glass[pane]
    ledge = (np.abs(up - 4.1) < 0.16) | (np.abs(up - heights + 0.35) < 0.35)
    facade[ledge] = 0.9 * colors[ledge]
    shop = (up < 3.9) & (np.abs((across - left) / 4.2 % 1 - 0.5) < 0.42)
    facade[shop] = np.array((0.24, 0.24, 0.25)) + 0.05 * (up[shop] / 4)[:, None]
    awning = (up > 2.7) & (up < 3.7) & shop
    facade[awning] = np.stack([pick(rng, CLOTHES) for _ in range(17)])[house][awning] * 0.8 + 0.1
    wall = (up < heights) & (y * distance > -camera.elevation)
    picture[wall] = facade[wall] + 0.30 * (HAZE - facade[wall])


def _paving(picture: Array, x: Array, y: Array, camera: Camera, rng: np.random.Generator) -> None:
    ground = y < -camera.elevation / 72.0
    ahead = camera.elevation / -y[ground]
    across = (np.broadcast_to(x, y.shape)[ground]) * ahead
    tints = rng.normal(0, 1, (64, 64)).astype(np.float32)
    column, row = np.floor(across / 0.8).astype(int), np.floor(ahead / 0.8).astype(int)
    tint = tints[row % 64, (column + 31 * (row % 2)) % 64]
    fade = np.clip(14 / ahead, 0, 1)
    seam = (np.minimum(across / 0.8 % 1, ahead / 0.8 % 1) < 0.05).astype(np.float32)
    band = ((np.floor(across / 6.4) + np.floor(ahead / 6.4)) % 2).astype(np.float32)
    shade = 0.70 + 0.022 * tint * fade - 0.10 * seam * fade - 0.05 * band
    color = shade[:, None] * np.array((1.0, 0.955, 0.89))
    haze = (1 - np.exp(-ahead / 190))[:, None]
    picture[ground] = color + haze * (HAZE - color)


def _trees(canvas: Canvas, camera: Camera, rng: np.random.Generator) -> None:
    for x in (-31.0, -24.5, -18.0, 17.0, 23.5, 30.0):
        z = 63.0
        foot_x, foot_y, scale = camera.project(x, 0, z)
        bark, trunk = solid(np.array((0.36, 0.29, 0.23)), 0.25), (foot_x, foot_y - 3.5 * scale)
        canvas.limb((foot_x, foot_y), trunk, (0.22 * scale, 0.16 * scale), bark)
        for _ in range(420):
            offset = rng.normal(0, 1, 2)
            offset *= 1.9 * rng.random() ** 0.4 / np.hypot(*offset)
            light = 0.72 + 0.16 * (offset @ (-0.5, 0.8)) + rng.uniform(-0.12, 0.16)
            middle = (foot_x + scale * offset[0], foot_y - scale * (5.2 + 0.9 * offset[1]))
            green = np.clip(np.array((0.40, 0.54, 0.26)) * light, 0, 1)
            canvas.limb(middle, middle, (scale * 0.22, scale * 0.22), solid(green, 0.25))


def shadows(canvas: Canvas, camera: Camera, places: list[tuple[float, float]]) -> None:
    """Darkens the ground behind people who stand at (x, z) metres."""
    shade = Canvas(np.ones_like(canvas.picture))
    for x, z in places:
        foot_x, foot_y, scale = camera.project(x, 0, z)
        tip_x, tip_y, _ = camera.project(x + 1.0, 0, z + 0.9)
        flat = camera.elevation / np.hypot(camera.elevation, z)
        shape = (0.22 * scale * max(flat, 0.25), 0.13 * scale * max(flat, 0.25))
        shade.limb((foot_x, foot_y), (tip_x, tip_y), shape, lambda n: np.full_like(n, 0.56), stretch=1.9)
    canvas.picture *= cv2.GaussianBlur(shade.picture, (0, 0), camera.width / 900)


def _places(camera: Camera, people: int, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Where groups of people stand and walk: (x, z) in metres and the direction they face, far to near."""
    steepest = camera.pitch + np.arctan(0.5 * camera.height / camera.width / camera.focal)
    nearest = camera.elevation / np.tan(steepest)
    places: list[tuple[float, float, float]] = []
    for _ in range(400 * people):
        if len(places) >= people:
            break
        z = float(np.exp(rng.uniform(np.log(0.9 * nearest), np.log(58))))
        x = float(rng.uniform(-0.55, 0.55)) * z / camera.focal
        facing = float(rng.choice((0.0, np.pi, 1.4, -1.4)) + rng.normal(0, 0.5))
        for member in range(int(rng.choice((1, 2, 3, 4), p=(0.4, 0.34, 0.16, 0.10)))):
            place = (x + 0.62 * member + rng.normal(0, 0.1), z + rng.normal(0, 0.22))
            if all(abs(place[0] - other[0]) + abs(place[1] - other[1]) > 0.55 for other in places):
                places.append((*place, facing))
    return sorted(places[:people], key=lambda place: -place[1])


def draw(
    width: int = 1280, height: int = 853, people: int = 340, seed: int = 0
) -> tuple[npt.NDArray[np.uint8], Points]:
    """A crowd and its heads; the same arguments give the same crowd.

    Args:
        width: of the picture in pixels.
        height: of the picture in pixels.
        people: how many to draw.
        seed: which crowd.

    Returns:
        (height, width, 3) uint8 RGB, and the heads of which at least a third is visible.
    """
    rng = np.random.default_rng(seed)
    camera = Camera(width, height)
    canvas = Canvas(paving_and_houses(camera, rng))
    _trees(canvas, camera, rng)
    places = _places(camera, people, rng)
    shadows(canvas, camera, [place[:2] for place in places])
    crowd = [Person(rng, camera, (x, z), facing) for x, z, facing in places]
    sizes = [person.draw(canvas, index) for index, person in enumerate(crowd)]
    seen = np.bincount(canvas.heads[canvas.heads >= 0], minlength=len(crowd))
    heads = zip(crowd, sizes, seen, strict=True)
    xy = [person.head for person, size, visible in heads if size and visible >= size / 3]
    points = Points(np.array(xy, np.float32).reshape(-1, 2), image_size=(width, height)).inside()
    noise = rng.normal(0, 0.008, canvas.picture.shape[:2])[..., None]
    picture = np.clip(cv2.GaussianBlur(canvas.picture, (0, 0), 0.45) + noise, 0, 1)
    return np.rint(255 * picture).astype(np.uint8), points


def main() -> None:
    """Writes the picture, and the heads beside it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="picture to write, .jpg or .png")
    parser.add_argument("--people", type=int, default=340)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=853)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    picture, points = draw(arguments.width, arguments.height, arguments.people, arguments.seed)
    cv2.imwrite(str(arguments.out), picture[..., ::-1])
    formats.write(arguments.out.with_suffix(".json"), {arguments.out.name: points})
    print(f"{arguments.out}: {len(points)} visible heads")


if __name__ == "__main__":
    main()
