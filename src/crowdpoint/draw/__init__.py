"""Draw results on images, and the panels of pictures in the papers' figures.

Images are (H, W, 3) uint8 RGB, else an ImageError is raised; inputs are not modified. Marks scale with the
spacing of the points, from street scenes to stadiums. Points are in pixels of the image, else a ValueError is
raised.
"""

from crowdpoint.draw.areas import Area, CountingLine, draw_lines
from crowdpoint.draw.blur import blur
from crowdpoint.draw.heat import heatmap
from crowdpoint.draw.panel import density_panel, map_panel, point_panel, proposal_panel
from crowdpoint.draw.photo import draw_numbers, overlay

__all__ = [
    "Area",
    "CountingLine",
    "blur",
    "density_panel",
    "draw_lines",
    "draw_numbers",
    "heatmap",
    "map_panel",
    "overlay",
    "point_panel",
    "proposal_panel",
]
