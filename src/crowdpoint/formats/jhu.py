"""Annotations of JHU-CROWD++, as its authors distribute them: heads of an image, and labels of images."""

from pathlib import Path

import numpy as np

from crowdpoint.formats import pixels
from crowdpoint.formats.text import at, numbers, read_text, rows, whole
from crowdpoint.points import Points


def read(path: Path, image_size: tuple[int, int] | None = None) -> Points:
    """Reads `gt/0001.txt`, lines `x y w h occlusion blur`: the centre and the size of a head's box.

    The centre counts pixels: index i is read as the centre of its pixel, i + 0.5. Occlusion and blur are left
    out.

    Raises:
        FormatError: if the file is missing or a line is something else, with the line.
    """
    heads = []
    for line, words in rows(path):
        with at(path, line):
            if len(words) != 6:
                raise ValueError(f"expected x y w h occlusion blur, found {len(words)} words")
            head = numbers(words)[:4]
            if head[2:].min() < 0:
                raise ValueError(f"expected a box size of at least 0, found {words[2]} x {words[3]}")
            heads.append(head)
    table = np.array(heads, np.float64).reshape(-1, 4)
    return Points(pixels.centres(table[:, :2]), sizes=table[:, 2:].astype(np.float32), image_size=image_size)


def read_labels(path: Path) -> dict[str, dict[str, str]]:
    """Reads `image_labels.txt`, lines `image,count,scene,weather,distractor`, as image -> label -> value.

    Weather is 0 for none, 1 for fog or haze, 2 for rain, 3 for snow; distractor is 1 for an image without
    a crowd that looks like one.

    Raises:
        FormatError: if the file is missing or a line is something else, with the line.
    """
    labels: dict[str, dict[str, str]] = {}
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        with at(path, line):
            image, _, rest = text.strip().partition(",")
            count, _, rest = rest.partition(",")
            words = rest.rsplit(",", 2)  # scenes may have commas
            if len(words) != 3:
                raise ValueError("expected image,count,scene,weather,distractor")
            heads = whole(count, "count")
            if image in labels:
                raise ValueError(f"image {image} comes a second time")
        labels[image] = {"count": str(heads)} | dict(
            zip(("scene", "weather", "distractor"), words, strict=True)
        )
    return labels
