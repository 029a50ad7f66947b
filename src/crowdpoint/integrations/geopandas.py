"""Convert `Points` to a GeoDataFrame, in map coordinates for georeferenced images.

Needs the extra `integrations`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from crowdpoint.errors import requires
from crowdpoint.formats import geopackage
from crowdpoint.points import Points
from crowdpoint.rasters import Georeference

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def to_geo_frame(
    points: Mapping[str, Points], places: Mapping[str, Georeference | None] | None = None
) -> "GeoDataFrame":
    """Convert points to a GeoDataFrame with one row per point, like `predict --format gpkg`.

    Args:
        points: image id -> Points.
        places: image id -> georeference, such as `open_image(path).place`. By default, the geometry is in
            pixels with y down, without a coordinate system.

    Returns:
        Columns `image`, `score`, `pixel_x`, `pixel_y` and `geometry`, in the common coordinate system of the
        places, or in longitude and latitude if they differ.

    Raises:
        FormatError: if `places` lacks an image, or has None for it.
        ImageError: if a coordinate system cannot be converted to longitude and latitude.
        MissingExtraError: if GeoPandas is not installed.
    """
    with requires("a GeoDataFrame", "integrations"):
        from geopandas import GeoDataFrame, points_from_xy

    columns = geopackage.build_columns(points)
    positions, crs = np.stack((columns["pixel_x"], columns["pixel_y"]), axis=1).astype(np.float64), None
    if places is not None:
        known = geopackage.require_places(points, places)
        systems = {place.crs for place in known.values()}
        crs = systems.pop() if len(systems) == 1 else "OGC:CRS84"
        parts = [
            known[image].to_map(found.xy)
            if crs == known[image].crs
            else known[image].to_longitude_latitude(found.xy)
            for image, found in points.items()
        ]
        positions = np.concatenate([np.empty((0, 2)), *parts])
    return GeoDataFrame(columns, geometry=points_from_xy(*positions.T), crs=crs)
