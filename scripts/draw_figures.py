"""Draws the figures of the documentation with the package's own functions: `python scripts/draw_figures.py`.

The same code and weights give the same figures. They need Matplotlib, which the dev extra brings. Those of
predicted density maps also need a checkpoint: `python scripts/draw_figures.py --density runs/density/best`.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import draw_crowd
import draw_empty
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import crowdpoint
from crowdpoint.draw import map_panel, overlay, point_panel
from crowdpoint.draw.photo import draw_dots
from crowdpoint.draw.row import Cell, apply_colors, build_row
from crowdpoint.estimate import require_points
from crowdpoint.images import resize
from crowdpoint.methods.density.targets import density_map
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.methods.p2pnet.reference_points import cell_reference_points
from crowdpoint.points import FloatArray, Picture, Points
from crowdpoint.predict.predictor import Inspection

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
    Image.fromarray(overlay(picture, crowdpoint.load().predict(picture))).save(out, quality=84)


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
    """One drawn crowd as all kinds of targets (FIDTM, Fig. 1 and 3): points, density, IDT and FIDT maps."""
    picture, heads = _crowd()
    annotation = np.zeros_like(picture)
    draw_dots(annotation, heads, (255, 255, 255))
    shown = {
        "Density, fixed": density_map(heads, sigma=15),
        "Density, adaptive": density_map(heads, adaptive=True),
        "IDT": fidt_map(heads, alpha=0, beta=1),
        "FIDT": fidt_map(heads),
    }
    cells = [Cell(picture, "Image"), Cell(annotation, "Annotation", f"{len(heads)}")]
    cells += [Cell(_map(values, values.max()), name) for name, values in shown.items()]
    _save_rows(out, build_row(cells))


def pipeline(out: Path) -> None:
    """The way of FIDTM from an image to points and boxes (FIDTM, Fig. 2), with the true map of training."""
    picture, heads = _crowd()
    seen = _inspect("fidtm-lite", picture)
    points = require_points(seen.candidates, "fidtm-lite")
    _save_rows(out, map_panel(picture, points, _predicted_map(seen), heads, fidt_map(heads)))


def located(out: Path) -> None:
    """Points of P2PNet beside the true ones (P2PNet, Fig. 6), for three densities, a row each."""
    predictor = crowdpoint.load("p2pnet-lite")
    rows = []
    for people, seed in ((40, 6), (120, 5), (260, 4)):
        picture, heads = draw_crowd.draw(720, 480, people=people, seed=seed)
        rows.append(point_panel(picture, predictor.predict(picture), heads))
    _save_rows(out, *rows)


def map_kinds(out: Path, density: Path) -> None:
    """True and predicted FIDT map, and the predicted density map of the same network (FIDTM, Fig. 6)."""
    picture, heads = _crowd()
    fidt, predicted = _inspect("fidtm-lite", picture), _inspect(density, picture)
    values = _predicted_map(predicted)
    cells = [
        Cell(picture, "Image", f"{len(heads)}"),
        Cell(_map(fidt_map(heads), 1), "True FIDT map", f"{len(heads)}"),
        Cell(_map(_predicted_map(fidt), 1), "Predicted FIDT map", f"{len(fidt.candidates)}"),
        Cell(_map(values, values.max()), "Predicted density map", f"{len(predicted.candidates)}"),
    ]
    _save_rows(out, build_row(cells))


def map_maxima(out: Path, density: Path) -> None:
    """Largest values of density and FIDT maps without and with people (FIDTM, Fig. 8), a row each.

    Both density maps have one colour scale, and so have both FIDT maps.
    """
    empty = draw_empty.plaza(np.random.default_rng(1))
    crowd, _ = draw_crowd.draw(draw_empty.WIDTH, draw_empty.HEIGHT, people=120, seed=5)
    models: dict[str, str | Path] = {"Density": density, "FIDT": "fidtm-lite"}
    values = {
        name: [_predicted_map(_inspect(model, picture)) for picture in (empty, crowd)]
        for name, model in models.items()
    }
    rows = []
    for number, picture in enumerate((empty, crowd)):
        cells = [Cell(picture, ("Nobody", "People")[number])]
        for name, both in values.items():
            largest = max(own.max() for own in both)
            cells.append(Cell(_map(both[number], largest), name, f"at most {both[number].max():.2f}"))
        rows.append(build_row(cells))
    _save_rows(out, *rows)


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
    "fidtm-pipeline.jpg": pipeline,
    "p2pnet-points.jpg": located,
    "fidt-decay.png": decay,
    "target-maps.jpg": maps,
    "reference-points.png": reference_points,
}

DENSITY_FIGURES = {"map-kinds.jpg": map_kinds, "map-maxima.jpg": map_maxima}
"""Figures that a model of density maps is needed for."""


def _crowd() -> tuple[Picture, Points]:
    """Draw people, and cut out those in the middle and the foreground."""
    picture, heads = draw_crowd.draw(720, 480, people=260, seed=4)
    left, top, right, bottom = window = (110, 120, 610, 480)
    return picture[top:bottom, left:right], heads.crop(*window)


def _inspect(model: str | Path, picture: Picture) -> Inspection:
    """Predict the map of a picture, and select its points."""
    predictor = crowdpoint.load(model)
    seen = predictor.inspect(picture)
    return replace(seen, candidates=predictor.select(seen.candidates))


def _predicted_map(seen: Inspection) -> FloatArray:
    if seen.map is None:
        raise SystemExit("--density: expected a model with a map, found none")
    return seen.map


def _curves(
    axes: Axes, title: str, curves: dict[str, tuple[float, float]], colors: tuple[str, ...] = COLORS
) -> None:
    """A curve for each name and its (alpha, beta); the values are those of a real map with one head."""
    head = Points(np.array([[0.5, 0.5]], np.float32), image_size=(REACH + 1, 1))
    for (name, (alpha, beta)), color in zip(curves.items(), colors, strict=False):
        values = fidt_map(head, alpha=alpha, beta=beta)[0]
        axes.plot(range(REACH + 1), values, label=name, color=color)
    axes.set_title(title, fontsize=11)
    axes.set(xlabel="pixels from the head", xlim=(0, REACH), ylim=(0, 1))
    axes.legend(loc="upper right")


def _map(values: FloatArray, brightest: float) -> Picture:
    """A map in colours, by the square root of its values."""
    return apply_colors(np.sqrt(values.clip(0) / max(brightest, 1e-6)), "inferno")


def _save_rows(out: Path, *rows: Picture) -> None:
    """Write rows of equal width below each other; a single one is shown in wide format."""
    whole = np.concatenate(rows)
    width = 1800 if len(rows) == 1 else 1000
    size = (width, round(width * whole.shape[0] / whole.shape[1]))
    Image.fromarray(resize(whole, size)).save(out, quality=80)


def _save(figure: Figure, out: Path) -> None:
    figure.savefig(out, metadata={"Software": None})


def main() -> None:
    """Writes all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for them")
    parser.add_argument("--density", type=Path, help="checkpoint of a density regressor, for its figures")
    arguments = parser.parse_args()
    out = arguments.out
    figures: dict[str, Callable[[Path], None]] = dict(FIGURES)
    if arguments.density:
        figures |= {
            name: partial(paint, density=arguments.density) for name, paint in DENSITY_FIGURES.items()
        }
    for name, paint in figures.items():
        paint(out / name)
        print(f"{out / name}: {(out / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
