"""Measure crowd density in zones of a photo: `python examples/photo_zones.py photo.jpg zones.yaml`.

Needs `pip install '.[zones]'`. People per square metre need `ground` in the file of zones.
"""

import argparse
from pathlib import Path

from PIL import Image

import crowdpoint
from crowdpoint import draw, images, zones


def main() -> None:
    """Print the count and density of every zone, and draw the zones on the photo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="image file")
    parser.add_argument("zones", type=Path, help="YAML or GeoJSON file of zones")
    parser.add_argument("--out", type=Path, default="zones.jpg", help="picture to write (%(default)s)")
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    photo = images.read(arguments.photo)
    height, width, _ = photo.shape
    known = zones.load(arguments.zones).fit((width, height))  # in the pixels of this photo
    points = crowdpoint.load(arguments.model).predict(photo)

    counts = known.count(points)
    densities = known.densities(counts)
    for name, count in counts.items():
        area, density = known.areas[name], densities[name]
        ground = "" if density is None else f" on {area:.0f} m²: {density:.2f} per m²"
        print(f"{name}: {count} of {len(points)} people{ground}")

    areas = [
        draw.Area(zone.polygon, zone.name, counts[zone.name], densities[zone.name]) for zone in known.zones
    ]
    Image.fromarray(draw.overlay(photo, points, areas)).save(arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
