"""Count the people in a photo and mark them: `python examples/count_photo.py photo.jpg`."""

import argparse
from pathlib import Path

from PIL import Image

import crowdpoint
from crowdpoint import draw, images


def main() -> None:
    """Print the count and the most certain heads, and write the photo with a dot on each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="image file")
    parser.add_argument("--out", type=Path, default="counted.jpg", help="picture to write (%(default)s)")
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    predictor = crowdpoint.load(arguments.model)
    photo = images.read(arguments.photo)  # (H, W, 3) uint8, RGB, upright
    points = predictor.predict(photo)
    print(f"{arguments.photo}: {len(points)} people")

    best = points.select((-points.scores).argsort()[:3])
    for (x, y), score in zip(best.xy, best.scores, strict=True):
        print(f"  a head at {x:.1f} px from the left and {y:.1f} px from the top, score {score:.2f}")

    Image.fromarray(draw.overlay(photo, points)).save(arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
