"""GeoPackage: points on the map in the coordinate system of their image, for programs that show maps.

It is only written: files of points that are to be read hold pixels.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint.points import Points
from crowdpoint.rasters import Place

LAYER = "points"

_WKB_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])  # OGC 06-103r4, 8.2


def write(path: Path, points: Mapping[str, Points], places: Mapping[str, Place]) -> None:
    """Writes a layer of points for each coordinate system: `points`, and of several `points_1` and so on.

    Args:
        path: the file, which is not there yet.
        points: image id -> Points. Their fields are `image`, `score`, `pixel_x` and `pixel_y`.
        places: image id -> where it lies.
    """
    import pyogrio.raw

    systems = list(dict.fromkeys(places[image].crs for image in points))
    for number, crs in enumerate(systems, start=1):
        chosen = {image: found for image, found in points.items() if places[image].crs == crs}
        xy = np.concatenate([found.xy for found in chosen.values()])
        columns = {
            "image": np.repeat(np.array(list(chosen), object), [len(found) for found in chosen.values()]),
            "score": np.concatenate([found.scores for found in chosen.values()]),
            "pixel_x": np.ascontiguousarray(xy[:, 0]),
            "pixel_y": np.ascontiguousarray(xy[:, 1]),
        }
        positions = [places[image].on_map(found.xy) for image, found in chosen.items()]
        pyogrio.raw.write(
            path,
            geometry=_wkb(np.concatenate(positions)),
            field_data=list(columns.values()),
            fields=list(columns),
            layer=LAYER if len(systems) == 1 else f"{LAYER}_{number}",
            driver="GPKG",
            geometry_type="Point",
            crs=crs,
        )


def _wkb(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    """Coordinates (N, 2) as the bytes of well-known binary points (N,)."""
    table = np.empty(len(positions), _WKB_POINT)
    table["order"], table["type"] = 1, 1  # little-endian, a point
    table["x"], table["y"] = positions.T
    geometry = np.empty(len(table), np.object_)
    geometry[:] = [row.tobytes() for row in table]
    return geometry
