"""Draws the figures of the documentation with the package's own functions: `python scripts/draw_figures.py`.

The same code and weights give the same figures. They need Matplotlib, which the dev extra brings.
"""

import argparse
from pathlib import Path
from typing import Any

import draw_crowd
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import crowdpoint
from crowdpoint.draw import overlay
from crowdpoint.draw.row import Cell, apply_colors, build_row
from crowdpoint.images import resize
from crowdpoint.methods.density.targets import density_map
from crowdpoint.methods.fidtm.targets import fidt_map, idt_map
from crowdpoint.methods.p2pnet.reference_points import cell_reference_points
from crowdpoint.points import FloatArray, Points

IMAGES = Path(__file__).parents[1] / "docs" / "images"

STYLE: dict[Any, Any] = {  # Matplotlib's type of its keys lists every one of them
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 2,
}
COLORS = ("#9aa5b1", "#f0b429", "#d64545", "#7b3fa0", "#127fbf")
REACH = 40
"""Pixels from the head that the curves show."""


def found_heads(out: Path) -> None:
    """A drawn crowd with a dot on every head that the default model finds."""
    picture, _ = draw_crowd.draw()
    Image.fromarray(overlay(picture, crowdpoint.load("p2pnet-lite").predict(picture))).save(out, quality=84)


def decay(out: Path) -> None:
    """IDT and FIDT against the distance to a head (FIDTM, Fig. 3b and Fig. 7)."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.4), dpi=110, layout="constrained")
        left, middle, right = figure.subplots(1, 3, sharey=True)
        _curves(left, "IDT and FIDT", {"IDT": (0, 1), "FIDT: α 0.02, β 0.75": (0.02, 0.75)}, COLORS[0::3])
        alphas = {f"α {alpha:.2f}": (alpha, 0.75) for alpha in (0, 0.01, 0.02, 0.03, 0.05)}
        _curves(middle, "a larger α ends sooner (β 0.75)", alphas)
        betas = {f"β {beta:.2f}": (0.02, beta) for beta in (0.35, 0.55, 0.75, 0.95, 1.15)}
        _curves(right, "a larger β falls faster at the head (α 0.02)", betas)
        left.set_ylabel("value of the map")
        _save(figure, out)


def maps(out: Path) -> None:
    """One drawn crowd as the targets of both kinds (FIDTM, Fig. 1 and Fig. 3): density, IDT and FIDT maps."""
    picture, heads = draw_crowd.draw(720, 480, people=260, seed=4)
    window = (110, 120, 610, 480)
    picture = picture[window[1] : window[3], window[0] : window[2]]
    heads = heads.crop(*window)
    shown = {
        f"{len(heads)} heads": None,
        "Density, fixed": density_map(heads, sigma=15),
        "Density, adaptive": density_map(heads, adaptive=True),
        "IDT": idt_map(heads),
        "FIDT": fidt_map(heads),
    }
    cells = [Cell(picture if values is None else _map(values), name) for name, values in shown.items()]
    whole = build_row(cells)
    size = (1800, round(1800 * whole.shape[0] / whole.shape[1]))
    Image.fromarray(resize(whole, size)).save(out, quality=88)


def reference_points(out: Path) -> None:
    """The two layouts of P2PNet's reference points (P2PNet, Fig. 4), for stride 8 and K 4."""
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(8, 4), dpi=110, layout="constrained")
        for axes, layout in zip(figure.subplots(1, 2), ("grid", "center"), strict=True):
            own = cell_reference_points(layout, 4, 8)
            corners = 8 * np.stack(np.meshgrid(np.arange(3), np.arange(3)), axis=-1).reshape(-1, 1, 2)
            x, y = (corners + own).reshape(-1, 2).T
            axes.scatter(x, y, s=64, color=COLORS[4], zorder=3)
            axes.set(title=f"{layout}: 4 in each cell of 8 x 8 pixels", aspect="equal")
            axes.set(xlim=(0, 24), ylim=(24, 0), xticks=range(0, 25, 8), yticks=range(0, 25, 8))
            axes.grid(color="#7b8794", linewidth=1)
            if layout == "center":
                arrow = {"arrowstyle": "->"}
                box = {"facecolor": "white", "edgecolor": "none"}
                axes.annotate("all four", (12, 12.4), (12, 15), ha="center", arrowprops=arrow, bbox=box)
        _save(figure, out)


FIGURES = {
    "overlay.jpg": found_heads,
    "fidt-decay.png": decay,
    "target-maps.jpg": maps,
    "reference-points.png": reference_points,
}


def _curves(
    axes: Axes, title: str, curves: dict[str, tuple[float, float]], colors: tuple[str, ...] = COLORS
) -> None:
    """A curve for each name and its (alpha, beta); the values are those of a real map with one head."""
    head = Points(np.array([[0.5, 0.5]], np.float32), image_size=(REACH + 1, 1))
    for (name, (alpha, beta)), color in zip(curves.items(), colors, strict=False):
        values = fidt_map(head, alpha=alpha, beta=beta, cutoff=0)[0]
        axes.plot(range(REACH + 1), values, label=name, color=color)
    axes.set_title(title, fontsize=11)
    axes.set(xlabel="pixels from the head", xlim=(0, REACH), ylim=(0, 1))
    axes.legend(loc="upper right")


def _map(values: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A map in colours, its largest value brightest."""
    return apply_colors(np.sqrt(values / values.max()), "inferno")


def _save(figure: Figure, out: Path) -> None:
    figure.savefig(out, metadata={"Software": None})


def main() -> None:
    """Writes all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for them")
    out = parser.parse_args().out
    for name, paint in FIGURES.items():
        paint(out / name)
        print(f"{out / name}: {(out / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
