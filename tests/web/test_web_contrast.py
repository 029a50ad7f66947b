"""Text on the page can be read: WCAG 2.2 asks for a contrast of 4.5 to 1."""

import re

import pytest

from crowdpoint.web.app import PAGE

PAIRS = [
    (text, ground)
    for text in ("text", "quiet", "accent", "bad")
    for ground in ("ground", "surface", "hover", "stage")
]
PAIRS.append(("on-accent", "accent"))


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG defines it."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme: int) -> None:
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    colors = dict(
        re.findall(r"--([\w-]+): (#\w{6});", re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme])
    )
    for text, ground in PAIRS:
        low, high = sorted((luminance(colors[text]), luminance(colors[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
