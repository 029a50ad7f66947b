"""Read annotations of JHU-CROWD++ as distributed: heads of an image, and labels of images."""

from pathlib import Path

import numpy as np

from crowdpoint.formats import pixels
from crowdpoint.formats.text import locate_errors, parse_integer, parse_numbers, read_lines, read_text
from crowdpoint.points import Points


def read(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Read head boxes from `gt/0001.txt`, lines `x y w h occlusion blur` with the centre and size of a box.

    The centre is a pixel index: i is read as i + 0.5, the centre of its pixel. Ignores occlusion and blur.
    """
    heads = []
    for line, text in read_lines(path):
        words = text.split()
        with locate_errors(path, line):
            if len(words) != 6:
                raise ValueError(f"expected x y w h occlusion blur, found {len(words)} words")
            head = parse_numbers(text)[:4]
            if head[2:].min() < 0:
                raise ValueError(f"expected a box size of at least 0, found {words[2]} x {words[3]}")
            heads.append(head)
    table = np.array(heads, np.float64).reshape(-1, 4)
    return Points(
        pixels.to_coordinates(table[:, :2]), sizes=table[:, 2:].astype(np.float32), image_size=image_size
    )


def read_labels(path: Path) -> dict[str, dict[str, str]]:
    """Read `image_labels.txt`, lines `image,count,scene,weather,distractor`, as image -> label -> value.

    Weather is 0 for none, 1 for fog or haze, 2 for rain, 3 for snow; distractor is 1 for images that look
    like a crowd but are not.

    Raises:
        FormatError: if the file is missing or a line is invalid; names the line.
    """
    labels: dict[str, dict[str, str]] = {}
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        with locate_errors(path, line):
            image, _, rest = text.strip().partition(",")
            count, _, rest = rest.partition(",")
            words = rest.rsplit(",", 2)  # scenes may contain commas
            if len(words) != 3:
                raise ValueError("expected image,count,scene,weather,distractor")
            heads = parse_integer(count, "count")
            if image in labels:
                raise ValueError(f"duplicate image {image}")
        labels[image] = {"count": str(heads)} | dict(
            zip(("scene", "weather", "distractor"), words, strict=True)
        )
    return labels
