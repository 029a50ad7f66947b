from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from crowdpoint import draw
from crowdpoint.draw import panel, row
from crowdpoint.draw.row import Cell
from crowdpoint.methods.fidtm.targets import fidt_map
from crowdpoint.points import Points

Picture = npt.NDArray[np.uint8]


def _photo(width: int, height: int) -> Picture:
    return np.random.default_rng(0).integers(90, 120, (height, width, 3), np.uint8)


def _heads(count: int, width: int, height: int) -> Points:
    xy = np.random.default_rng(1).uniform((0, 0), (width, height), (count, 2))
    return Points(xy.astype(np.float32), image_size=(width, height))


def _close(picture: Picture, color: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    return np.asarray((np.abs(picture.astype(int) - color) < 30).all(axis=2))


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """What the panels put in their rows."""
    found: list[Cell] = []

    def spy(given: list[Cell]) -> Picture:
        found[:] = given
        return row.build_row(given)

    monkeypatch.setattr(panel, "build_row", spy)
    return found


@pytest.mark.parametrize(("size", "shown"), [((600, 400), (600, 400)), ((4000, 1000), (1024, 256))])
def test_a_map_panel_shows_what_fidtm_does(
    size: tuple[int, int], shown: tuple[int, int], cells: list[Cell]
) -> None:
    heads = _heads(40, *size)
    picture = draw.map_panel(_photo(*size), heads, fidt_map(heads), heads, fidt_map(heads))
    assert [cell.name for cell in cells] == ["Image", "Ground truth", "Predicted map", "Points", "Boxes"]
    assert [cell.value for cell in cells] == [f"{size[0]}x{size[1]}", "40", "", "40", "40"]
    image, truth, found, points, boxes = (cell.picture for cell in cells)
    assert {cell.picture.shape[1::-1] for cell in cells} == {shown}
    np.testing.assert_array_equal(truth, found)
    at = (heads.xy * shown[0] / size[0]).astype(int).T[::-1]
    peaks = found[tuple(at)].astype(int).sum(axis=1)
    assert np.median(peaks) > 600, "peaks stay bright when the map shrinks"
    assert peaks.min() > 350
    assert np.median(found.astype(int).sum(axis=2)) < 250
    assert (points[tuple(at)] > 200).all()
    assert np.median(points) == 0
    assert _close(boxes, panel.BOX).sum() > 40 * 8
    assert not _close(image, panel.BOX).any()
    assert picture.shape[1] > 5 * shown[0]


def test_a_map_panel_without_a_true_map_shows_true_points(cells: list[Cell]) -> None:
    truth = _heads(30, 600, 400)
    draw.map_panel(_photo(600, 400), truth[:5], np.zeros((400, 600), np.float32), truth)
    assert [(cell.name, cell.value) for cell in cells[:2]] == [("Image", "600x400"), ("Ground truth", "30")]
    columns, rows = truth.xy.astype(int).T
    assert _close(cells[1].picture, panel.TRUTH)[rows, columns].mean() > 0.7


def test_a_point_panel_has_both_counts(cells: list[Cell]) -> None:
    predicted, truth = _heads(3, 600, 400), _heads(1234, 600, 400)
    draw.point_panel(_photo(600, 400), predicted, truth)
    assert [(c.name, c.value) for c in cells] == [
        ("Image", "600x400"),
        ("Predicted", "3"),
        ("Ground truth", "1,234"),
    ]
    for cell, heads, color in ((cells[1], predicted, (0, 229, 255)), (cells[2], truth, panel.TRUTH)):
        columns, rows = heads.xy.astype(int).T
        assert _close(cell.picture, color)[rows, columns].mean() > 0.7  # in a crowd, edges cover dots
    draw.point_panel(_photo(600, 400), predicted)
    assert [cell.name for cell in cells] == ["Image", "Predicted"]


def test_a_density_panel_is_brightest_at_the_maximum(cells: list[Cell]) -> None:
    density = np.zeros((400, 600), np.float32)
    density[100:110, 200:210] = 1e-3
    draw.density_panel(_photo(600, 400), 2, density)
    assert [cell.name for cell in cells] == ["Image", "Predicted density"]
    assert cells[1].picture[105, 205].min() > 150
    assert cells[1].picture[300, 300].max() < 10
    draw.density_panel(_photo(600, 400), 0, 0 * density, _heads(1, 600, 400))
    assert [cell.value for cell in cells] == ["600x400", "1", "0"]


def _proposals(width: int, height: int, stride: int = 8) -> Points:
    """One in the middle of each cell, all unsure but for three around (404, 204)."""
    x, y = np.meshgrid(np.arange(stride / 2, width, stride), np.arange(stride / 2, height, stride))
    xy = np.stack((x, y), axis=-1).reshape(-1, 2).astype(np.float32)
    sure = np.abs(xy - (404, 204)).sum(axis=1) <= stride
    return Points(xy, np.where(sure, 0.95, 0.01).astype(np.float32), image_size=(width, height))


def test_a_proposal_panel_enlarges_where_the_scores_are(cells: list[Cell]) -> None:
    proposals = _proposals(1000, 600)
    reference = proposals.xy
    draw.proposal_panel(_photo(1000, 600), proposals, 8, reference)
    assert [(cell.name, cell.value) for cell in cells] == [
        ("Proposals", f"{len(proposals):,}"),
        ("Reference points", f"{len(reference):,}"),
        ("Scores", ""),
    ]
    whole, points, scores = (cell.picture for cell in cells)
    yellow = (240, 245, 40)
    rows, columns = np.nonzero(_close(whole, yellow))
    assert np.abs(np.array((columns.mean(), rows.mean())) - (404, 204)).max() < 3
    assert scores.shape == points.shape == (600, 600, 3)
    white = (points == 255).all(axis=2).sum() / 40**2
    assert white > 3, "each of 40 x 40 reference points has a dot"
    assert 5 * 20 < _close(scores, yellow).sum() < 5 * 150


Paint = Callable[[Picture, Points], Picture]
PANELS: list[Paint] = [
    lambda image, heads: draw.map_panel(image, heads, np.zeros(image.shape[:2], np.float32), heads),
    lambda image, heads: draw.density_panel(image, 3, np.zeros(image.shape[:2], np.float32), heads),
    lambda image, heads: draw.point_panel(image, heads, heads),
    lambda image, heads: draw.proposal_panel(image, heads, 4, heads.xy),
]


@pytest.mark.parametrize("paint", PANELS)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (20_000, 3), (2, 3000), (100, 80)])
@pytest.mark.parametrize("count", [0, 30])
def test_any_size_and_count(paint: Paint, size: tuple[int, int], count: int) -> None:
    image = _photo(*size)
    before = image.copy()
    picture = paint(image, _heads(count, *size).shift(-0.5, 0.5))
    assert (image == before).all()
    assert picture.flags.writeable
    assert 300 < picture.shape[1] <= 6500
    assert picture.shape[0] <= 1250


@pytest.mark.parametrize("paint", PANELS)
def test_points_of_another_image(paint: Paint) -> None:
    with pytest.raises(ValueError, match=r"points: expected points on 60x40 pixels, found \(40, 60\)"):
        paint(_photo(60, 40), Points.empty((40, 60)))


def test_maps_of_another_image() -> None:
    with pytest.raises(ValueError, match=r"map: expected shape \(40, 60\), found \(60, 40\)"):
        draw.map_panel(_photo(60, 40), Points.empty(), np.zeros((60, 40), np.float32))


def test_a_row_has_room_for_its_captions() -> None:
    """Text ends before the next cell's, and the row is white around the pictures."""
    narrow = np.zeros((400, 4, 3), np.uint8)
    cells = [Cell(narrow, "A long name of a picture", "1,234,567"), Cell(narrow + 9, "Map", scale="inferno")]
    picture = row.build_row(cells)
    ink = np.asarray((picture < 250).any(axis=2))
    assert not ink[0].any()
    assert not ink[-1].any()
    assert not ink[:, 0].any()
    assert not ink[:, -1].any()
    assert (picture[:400] == 0).all(axis=2).any(axis=0).sum() == 4
    columns = np.flatnonzero(ink[-60:].any(axis=0))
    gaps = np.diff(columns)
    size = 22  # 0.055 * 400
    assert (gaps > 0.7 * size).sum() == 3, "between both names and their values, and between the cells"


def test_pictures_are_shrunk_to_1024_and_enlarged_to_480() -> None:
    shown = {
        (4000, 3000): (1024, 768),
        (600, 400): (600, 400),
        (100, 80): (480, 384),
        (20_000, 3): (1024, 1),
        (1, 1): (480, 480),
    }
    assert {size: row.compute_cell_size(size) for size in shown} == shown
