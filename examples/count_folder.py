"""Count the people in a folder of photos, to CSV: `python examples/count_folder.py photos`."""

import argparse
import sys
from pathlib import Path

import crowdpoint
from crowdpoint import folders, formats
from crowdpoint.errors import ImageError
from crowdpoint.points import Points


def main() -> None:
    """Write one row per person, and report broken photos without stopping."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of photos, searched recursively")
    parser.add_argument("--out", type=Path, default="points.csv", help="file to write (%(default)s)")
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    photos = folders.list_files(arguments.folder, folders.IMAGE_SUFFIXES, below=True)
    predictor = crowdpoint.load(arguments.model)
    found: dict[str, Points] = {}
    for path in photos:
        name = path.relative_to(arguments.folder).as_posix()
        try:
            found[name] = predictor.predict(path)
        except ImageError as error:
            print(error, file=sys.stderr)
        else:
            print(f"{name}: {len(found[name])}")

    formats.write(arguments.out, found)  # the format follows the extension: .csv, .json, .geojson, ...
    print(f"{sum(map(len, found.values()))} people on {len(found)} photos: {arguments.out}")


if __name__ == "__main__":
    main()
