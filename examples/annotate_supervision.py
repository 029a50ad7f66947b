"""Draw people with supervision's annotators: `python examples/annotate_supervision.py photo.jpg`.

Needs `pip install '.[video]'`.
"""

import argparse
from pathlib import Path

import supervision as sv
from PIL import Image

import crowdpoint
from crowdpoint import images
from crowdpoint.integrations.supervision import to_detections
from crowdpoint.neighbors import knn_boxes


def main() -> None:
    """Draw a dot and a box on every person, and count the people on the left half."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="image file")
    parser.add_argument("--out", type=Path, default="annotated.png", help="picture to write (%(default)s)")
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    photo = images.read(arguments.photo)
    points = crowdpoint.load(arguments.model).predict(photo)
    boxed = knn_boxes(points, f=0.6)  # as large as the heads around are apart
    detections = to_detections(boxed)

    scene = Image.fromarray(photo)
    scene = sv.BoxCornerAnnotator(thickness=1, corner_length=4).annotate(scene, detections)
    scene = sv.DotAnnotator(radius=2, color=sv.Color.WHITE).annotate(scene, detections)
    scene.save(arguments.out)

    centers = detections.get_anchors_coordinates(sv.Position.CENTER)
    left = detections.select(centers[:, 0] < photo.shape[1] / 2)
    print(f"{len(detections)} people, {len(left)} of them on the left half: {arguments.out}")


if __name__ == "__main__":
    main()
