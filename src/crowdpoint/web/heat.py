"""Draw the heat map of points that a client sends, without their image."""

import base64
import json

import numpy as np
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from crowdpoint.points import Points
from crowdpoint.web.schemas import HeatmapQuery

_COLORS = 16  # of the legend
_QUALITY = 95


def draw(body: bytes) -> bytes:
    """Draw the heat map of a `HeatmapQuery`, and return a `schemas.Heatmap`, both as JSON."""
    import cv2  # takes memory that a server without heat maps does not need

    from crowdpoint.draw.heat import UNIT, build_legend, compute_heat

    try:
        query = HeatmapQuery.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(
            [fault | {"loc": ("body", *fault["loc"])} for fault in error.errors()]
        ) from error
    xy = np.array(query.points, np.float32).reshape(-1, 2)
    heat = compute_heat(Points(xy), (query.width, query.height))
    layer = cv2.cvtColor(heat.layer, cv2.COLOR_RGBA2BGRA)
    _, encoded = cv2.imencode(".webp", layer, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    document = {
        "image": "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode(),
        "peak": heat.peak,
        "unit": UNIT,
        "colors": ["#" + bytes(color).hex() for color in build_legend(_COLORS)[0]],
    }
    return json.dumps(document).encode()
