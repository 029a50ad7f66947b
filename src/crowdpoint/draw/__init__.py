"""Pictures of results: on the photo itself, and the rows of pictures that the papers show.

Arrays are (H, W, 3) uint8 RGB; the input is never written to. Distances adapt to how near the points
stand to each other, so that the same call serves a street scene and a stadium.
"""

from crowdpoint.draw.areas import Area
from crowdpoint.draw.blur import blur
from crowdpoint.draw.heat import heatmap
from crowdpoint.draw.lines import Crossed, draw_lines
from crowdpoint.draw.panel import density_panel, map_panel, point_panel, proposal_panel
from crowdpoint.draw.photo import Picture, number, overlay

__all__ = [
    "Area",
    "Crossed",
    "Picture",
    "blur",
    "density_panel",
    "draw_lines",
    "heatmap",
    "map_panel",
    "number",
    "overlay",
    "point_panel",
    "proposal_panel",
]
