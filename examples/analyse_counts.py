"""Summarise a file of points with pandas: `python examples/analyse_counts.py points.csv`.

Needs `pip install '.[integrations]'`. `crowdpoint predict photos --out results` writes such a file.
"""

import argparse
from pathlib import Path

from crowdpoint import formats
from crowdpoint.integrations.pandas import to_frame


def main() -> None:
    """Print statistics of the counts and the most crowded images, and write one row per image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("points", type=Path, help="file of points, in any readable format")
    parser.add_argument("--out", type=Path, default="counts.csv", help="file to write (%(default)s)")
    arguments = parser.parse_args()

    # One row per person; an image without people has one row without x.
    heads = to_frame(formats.read(arguments.points))
    by_image = heads.groupby("image")
    counts = by_image.agg(
        people=("x", "count"), score=("score", "mean"), width=("width", "first"), height=("height", "first")
    )
    counts["per_megapixel"] = counts["people"] / (counts["width"] * counts["height"] / 1e6)

    print(counts["people"].describe().to_string())
    print("the most crowded images:")
    print(counts.nlargest(5, "people").to_string(float_format="{:.2f}".format))
    counts.to_csv(arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
