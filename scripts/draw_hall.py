"""Draws people in a hall, seen from straight above, whom models of street scenes hardly know.

`python scripts/draw_hall.py hall` writes 20 pictures into the folder `hall`, and where the heads are into
`hall/heads.csv`; then `crowdpoint finetune fidtm-lite --data hall` learns the view.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from draw_people import CLOTHES, HAIR, pick
from PIL import Image

from crowdpoint import formats
from crowdpoint.points import Points

WIDTH, HEIGHT = 960, 640
METRE = 48
"""Pixels."""


def draw(people: int, seed: int) -> tuple[npt.NDArray[np.uint8], Points]:
    """A hall and its heads; the same arguments give the same.

    Returns:
        (640, 960, 3) uint8 RGB, and the middle of each head.
    """
    rng = np.random.default_rng(seed)
    picture = _floor(rng)
    places = _places(people, rng)
    for place in places:
        _person(picture, place, rng)
    grain = rng.normal(0, 3, picture.shape[:2])[..., None]
    picture = np.clip(cv2.GaussianBlur(picture, (0, 0), 0.8) + grain, 0, 255)
    return picture.astype(np.uint8), Points(places, image_size=(WIDTH, HEIGHT))


def _floor(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Carpet in two tones, with rows of chairs."""
    tone = rng.uniform(70, 170, 3)
    rows, columns = np.indices((HEIGHT, WIDTH)) // METRE
    floor = tone + 14.0 * ((rows + columns) % 2)[..., None]
    floor = (floor + rng.normal(0, 6, (HEIGHT, WIDTH, 1))).astype(np.float32)
    chair = rng.uniform(30, 220, 3).tolist()
    for top in range(20, HEIGHT, 60):
        for left in range(10, WIDTH, 40):
            if rng.random() < 0.5:
                cv2.rectangle(floor, (left, top), (left + 22, top + 20), chair, -1, cv2.LINE_AA)
    return floor


def _places(people: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Middles of heads, at least half a metre apart."""
    found: list[npt.NDArray[np.float64]] = []
    for _ in range(100 * people):
        place = rng.uniform((12, 12), (WIDTH - 12, HEIGHT - 12))
        if len(found) < people and all(np.hypot(*(place - other)) > 0.55 * METRE for other in found):
            found.append(place)
    return np.array(found, np.float32).reshape(-1, 2)


def _person(
    picture: npt.NDArray[np.float32], place: npt.NDArray[np.float32], rng: np.random.Generator
) -> None:
    """Shoulders, arms and hair of one who looks anywhere."""
    angle, scale = float(rng.uniform(0, 360)), float(rng.uniform(0.9, 1.1)) * METRE
    cloth, hair = (255 * pick(rng, colors) for colors in (CLOTHES, HAIR))
    shadow = picture.copy()
    cv2.circle(shadow, (int(place[0] + 6), int(place[1] + 8)), int(0.26 * scale), (30,) * 3, -1, cv2.LINE_AA)
    cv2.addWeighted(shadow, 0.35, picture, 0.65, 0, picture)
    for shift, width, height, color in (
        (0.0, 0.27, 0.15, cloth),
        (0.0, 0.22, 0.11, np.minimum(cloth * 1.12 + 6, 255)),
        (0.0, 0.10, 0.125, hair),
        (-0.03, 0.05, 0.06, np.minimum(hair * 1.25 + 14, 255)),
    ):
        x, y, a, b = (int(16 * v) for v in (*(place + shift * scale), width * scale, height * scale))
        cv2.ellipse(picture, (x, y), (a, b), angle, 0, 360, color.tolist(), -1, cv2.LINE_AA, shift=4)


def main() -> None:
    """Writes the pictures, and the file of their heads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=20, help="(%(default)s)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    heads = {}
    for number in range(1, arguments.pictures + 1):
        people = int(np.random.default_rng((1, number)).integers(0, 90))
        picture, heads[f"hall-{number}.jpg"] = draw(people, number)
        Image.fromarray(picture).save(arguments.folder / f"hall-{number}.jpg", quality=92)
    formats.write(arguments.folder / "heads.csv", heads)
    print(f"{arguments.folder}: {sum(map(len, heads.values()))} heads in {len(heads)} pictures")


if __name__ == "__main__":
    main()
