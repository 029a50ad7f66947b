"""Locate people on a drone mosaic, in map coordinates: `python examples/map_people.py mosaic.tif`.

Needs `pip install '.[geo]'`. The file is read window by window and may be larger than memory.
"""

import argparse
from pathlib import Path

import crowdpoint
from crowdpoint import formats
from crowdpoint.errors import ImageError
from crowdpoint.rasters import Raster


def main() -> None:
    """Write a GeoPackage for QGIS and other GIS programs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mosaic", type=Path, help="GeoTIFF or another georeferenced raster")
    parser.add_argument("--out", type=Path, default="people.gpkg", help="file to write (%(default)s)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="resize factor for the network (%(default)s)"
    )
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    predictor = crowdpoint.load(arguments.model, scale=arguments.scale)
    try:
        opened = Raster(arguments.mosaic)
    except ImageError as error:
        parser.error(str(error))
    with opened as raster:
        if raster.place is None:
            parser.error(f"{arguments.mosaic} is not georeferenced")
        points = predictor.predict(raster, lambda done, tiles: print(f"tile {done} of {tiles}"))
        place = raster.place

    name = arguments.mosaic.stem
    formats.write_map(arguments.out, {name: points}, {name: place})
    print(f"{len(points)} people in {place.crs}: {arguments.out}")
    for east, north in place.to_map(points.xy)[:3]:
        print(f"  {east:.2f} east, {north:.2f} north")


if __name__ == "__main__":
    main()
