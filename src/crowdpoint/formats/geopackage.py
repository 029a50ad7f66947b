"""Write GeoPackages: points in the coordinate system of their image, for GIS programs.

The format is write-only, because point files are read in pixels.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crowdpoint.errors import FormatError
from crowdpoint.points import Points

if TYPE_CHECKING:
    from crowdpoint.rasters import Georeference  # slow to import

LAYER = "points"

_COUNT_FIELDS = """
SELECT (
    SELECT count(*) FROM pragma_table_info(table_name) WHERE name IN ('image', 'score', 'pixel_x', 'pixel_y')
) FROM gpkg_contents
"""
"""Query for the number of fields of each layer that `write` writes, too."""

_WKB_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
"""Layout of a point in well-known binary (OGC 06-103r4, 8.2)."""


def write(path: Path, points: Mapping[str, Points], places: Mapping[str, "Georeference"]) -> None:
    """Write a new file with the fields `image`, `score`, `pixel_x` and `pixel_y`.

    Writes one layer per coordinate system: `points`, or `points_1`, `points_2` and so on if several.
    """
    systems = list(dict.fromkeys(places[image].crs for image in points))
    for crs in systems:
        chosen = {image: found for image, found in points.items() if places[image].crs == crs}
        write_layer(path, chosen, places, systems)


def has_only_points(path: Path) -> bool:
    """Check whether a file is a GeoPackage whose layers all have the fields that `write` writes."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as layers:
            counts = layers.execute(_COUNT_FIELDS).fetchall()
    except sqlite3.Error:
        return False
    return all(count == 4 for (count,) in counts)


def require_places(
    points: Mapping[str, Points], places: Mapping[str, "Georeference | None"]
) -> dict[str, "Georeference"]:
    """Return the georeference of each image.

    Raises:
        FormatError: if an image has none.
    """
    found = {image: place for image in points if (place := places.get(image)) is not None}
    if missing := [image for image in points if image not in found]:
        raise FormatError(f"places: expected one for every image, found none for {', '.join(missing[:3])}")
    return found


def build_columns(points: Mapping[str, Points]) -> dict[str, npt.NDArray[Any]]:
    """Build the fields, with a row for each point."""
    xy = np.concatenate([np.empty((0, 2), np.float32), *(found.xy for found in points.values())])
    return {
        "image": np.repeat(np.array(list(points), object), [len(found) for found in points.values()]),
        "score": np.concatenate([np.empty(0, np.float32), *(found.scores for found in points.values())]),
        "pixel_x": np.ascontiguousarray(xy[:, 0]),
        "pixel_y": np.ascontiguousarray(xy[:, 1]),
    }


def write_layer(
    path: Path,
    points: Mapping[str, Points],
    places: Mapping[str, "Georeference"],
    systems: Sequence[str],
    *,
    append: bool = False,
) -> None:
    """Write or append the points of images that share one of the `systems`, in the order of the layers."""
    import pyogrio.raw

    crs = next(places[image].crs for image in points)
    columns = build_columns(points)
    positions = np.concatenate([places[image].to_map(found.xy) for image, found in points.items()])
    table = np.empty(len(positions), _WKB_POINT)
    table["order"], table["type"] = 1, 1  # little-endian, a point
    table["x"], table["y"] = positions.T
    geometry = np.empty(len(table), np.object_)
    geometry[:] = [row.tobytes() for row in table]
    pyogrio.raw.write(
        path,
        geometry=geometry,
        field_data=list(columns.values()),
        fields=list(columns),
        layer=LAYER if len(systems) == 1 else f"{LAYER}_{systems.index(crs) + 1}",
        driver="GPKG",
        geometry_type="Point",
        crs=crs,
        append=append,
    )
