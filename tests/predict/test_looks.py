"""Working scales that follow the heads: where the looks go, and which of them each head is taken from."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.points import Points
from crowdpoint.predict import looks
from crowdpoint.predict.looks import LARGEST_SIDE, Grid, choose_small_headed, merge, search_scales
from crowdpoint.recipe import ScalesConfig
from crowdpoint.tiles import Box

CONFIG = ScalesConfig(small=7, reduced=0.45, sure=0.2, confirmation=0.4)

Heads = npt.NDArray[np.float64]


def points_of(heads: Heads, size: tuple[int, int]) -> Points:
    """Points for rows of x, y, side."""
    return Points(heads[:, :2], sizes=np.repeat(heads[:, 2:3], 2, axis=1), image_size=size)


class Eye:
    """Sees heads of 6 to `largest` pixels at a scale, exactly; remembers where it looked."""

    def __init__(self, heads: Heads, size: tuple[int, int], noise: float = 0.0, largest: float = 60) -> None:
        self.heads, self.size, self.noise, self.largest = heads, size, noise, largest
        self.seen: list[tuple[float, Box | None]] = []

    def look(self, scale: float, box: Box | None) -> Points:
        self.seen.append((scale, box))
        left, top, right, bottom = box or (0, 0, *self.size)
        x, y, sides = self.heads.T
        inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        able = (sides * scale >= 6) & (sides * scale <= self.largest)
        found = self.heads[inside & able].copy()
        factors = np.random.default_rng(len(self.seen)).uniform(-1, 1, len(found))
        found[:, 2] *= np.exp(self.noise * factors)
        return points_of(found, self.size)


def crowd(count: int, size: tuple[int, int], side: float, seed: int = 0) -> Heads:
    rng = np.random.default_rng(seed)
    width, height = size
    return np.column_stack(
        (rng.uniform(0, width, count), rng.uniform(0, height, count), np.full(count, side))
    )


@pytest.mark.parametrize("side", [120, 200, 300, 500, 750])
def test_heads_of_every_size_are_found_once_on_a_large_photo(side: float) -> None:
    """Of 6000 pixels; the looks at all its pixels would take 34 times the first one's time."""
    size = (6000, 4000)
    places = np.array([(x, y) for x in (700, 2400, 4100) for y in (700, 2400)], float)
    heads = np.column_stack((places, np.full(len(places), float(side))))
    eye = Eye(heads, size, noise=0.2)
    found = search_scales(size, eye.look, CONFIG)
    assert len(found) == 6
    assert sorted(map(tuple, found.xy.tolist())) == sorted(map(tuple, places.tolist()))
    assert [box for _, box in eye.seen if box] == [], "no closer look at large heads"


def test_looks_are_reduced_until_the_largest_head_is_known() -> None:
    size = (6000, 4000)
    eye = Eye(np.array([[3000.0, 2000, 2600]]), size, largest=400)
    found = search_scales(size, eye.look, CONFIG)
    coarsest = min(scale for scale, _ in eye.seen)
    assert len(found) == 1
    assert coarsest * 2600 <= LARGEST_SIDE
    assert coarsest / CONFIG.reduced * 2600 > LARGEST_SIDE, "no look more than it takes"


def test_the_number_of_looks_is_bounded() -> None:
    size = (600, 400)
    scales: list[float] = []

    def look(scale: float, _: Box | None) -> Points:
        scales.append(scale)
        return points_of(np.array([[300.0, 200, 200 / scale]]), size)

    search_scales(size, look, CONFIG)
    assert len(scales) == len(set(scales))
    assert min(scales) * max(size) > looks.SMALLEST_LOOK * CONFIG.reduced


def test_only_cells_with_small_heads_are_enlarged() -> None:
    size = (4000, 3000)
    side = CONFIG.small * 0.95 * 4000 / looks.FIRST_SIDE
    heads = crowd(400, (900, 700), side)
    heads = np.vstack((heads, [[3500, 2500, 150.0]]))
    eye = Eye(heads, size)
    found = search_scales(size, eye.look, CONFIG)
    assert len(found) == 401
    assert len(np.unique(found.xy, axis=0)) == 401
    closer = [(scale, box) for scale, box in eye.seen if box]
    assert closer
    assert [scale for scale, _ in closer] == [pytest.approx(looks.WANTED / side, rel=0.01)] * len(closer)
    for _, (left, top, right, bottom) in closer:
        assert left == top == 0
        assert right <= 1250
        assert bottom <= 1250


@pytest.mark.parametrize(("side", "largest"), [(CONFIG.small * 0.95, looks.LARGEST_SCALE), (20.0, 1.0)])
def test_small_images_are_enlarged_a_little_where_heads_are_small(side: float, largest: float) -> None:
    eye = Eye(crowd(50, (640, 480), side), (640, 480))
    assert len(search_scales((640, 480), eye.look, CONFIG)) == 50
    assert max(scale for scale, _ in eye.seen) == largest


def test_looks_are_enlarged_until_heads_are_large_enough() -> None:
    """At the first look heads are a sixth of the wanted size: one step of at most 3 does not do."""
    size = (8000, 8000)
    side = 18.0
    eye = Eye(crowd(3000, (1500, 1500), side), size)

    def keen(scale: float, box: Box | None) -> Points:  # sees the smallest, too
        eye.heads[:, 2] = max(side, 6 / scale)
        found = eye.look(scale, box)
        return points_of(np.column_stack((found.xy, np.full(len(found), side))), size)

    assert len(search_scales(size, keen, CONFIG)) == 3000
    scales = sorted({scale for scale, box in eye.seen if box})
    assert len(scales) >= 2
    assert scales[-1] * side >= CONFIG.small
    assert all(b / a <= looks.STEPS[1] + 1e-6 for a, b in zip([0.128, *scales], scales, strict=False))


def test_low_scores_choose_no_further_look() -> None:
    grid = Grid((1024, 1024), 64)
    heads = points_of(crowd(100, (200, 200), 5.0), (1024, 1024))
    cells, factor = choose_small_headed(heads, grid, 0.5, CONFIG.small)
    assert 12 <= cells.sum() <= 16
    assert factor == pytest.approx(3.0), "no further than a step, and the largest scale"
    assert choose_small_headed(heads, grid, 1.1, CONFIG.small)[1] == pytest.approx(looks.LARGEST_SCALE / 1.1)
    assert not choose_small_headed(heads.threshold(1.1), grid, 0.5, CONFIG.small)[0].any()
    assert not choose_small_headed(heads, grid, 1.3, CONFIG.small)[0].any(), "nothing to gain"
    huge = Grid((25_000, 25_000), 64)  # of which 1.5 times the sides would be more pixels than may be
    assert choose_small_headed(heads, huge, 0.5, CONFIG.small)[1] == pytest.approx(1.265 / 0.5, rel=2e-3)
    lonely = points_of(np.array([[10.0, 10, 5], [500, 500, 5]]), (1024, 1024))
    assert not choose_small_headed(lonely, grid, 0.5, CONFIG.small)[0].any(), "too few to tell"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=30))
def test_groups_partition_the_cells_and_their_boxes_cover_them(chosen: list[tuple[int, int]]) -> None:
    grid = Grid((1000, 690), 100)
    assert grid.shape == (7, 10)
    cells = np.zeros(grid.shape, np.bool_)
    for column, row in chosen:
        cells[row, column] = True
    groups = grid.groups(cells)
    assert (sum((group.astype(int) for group, _ in groups), np.zeros(grid.shape, int)) == cells).all()
    for group, (left, top, right, bottom) in groups:
        assert 0 <= left < right <= 1000
        assert 0 <= top < bottom <= 690
        rows, columns = np.nonzero(group)
        assert (left, top) == (columns.min() * 100, rows.min() * 100)
        assert right == min((columns.max() + 1) * 100, 1000)
        assert bottom == min((rows.max() + 1) * 100, 690)


def scored(heads: Heads, scores: list[float]) -> Points:
    return replace(points_of(heads, (1000, 1000)), scores=np.array(scores, np.float32))


def merge_two(coarse: Points, fine: Points) -> Points:
    """Merge the looks at 0.45 and 1 times the size of an image of 1000 pixels."""
    grid = Grid((1000, 1000), 64)
    return merge([coarse, fine], [0.45, 1.0], np.ones(grid.shape, np.intp), grid, CONFIG)


def test_the_higher_score_of_two_that_meet_is_kept() -> None:
    """With the mean of both scores, as both looks know heads of this size."""
    side = looks.LARGE
    coarse = scored(np.array([[100.0, 100, side], [500, 500, side]]), [0.4, 0.9])
    fine = scored(np.array([[104.0, 100, side], [505, 500, side]]), [0.8, 0.3])
    found = merge_two(coarse, fine)
    assert sorted(found.xy[:, 0].tolist()) == [104, 500]
    w = CONFIG.confirmation
    assert sorted(found.scores.tolist()) == pytest.approx([(1 - w) * 0.8 + w * 0.4, (1 - w) * 0.9 + w * 0.3])


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_candidate_that_another_removes_removes_nobody(order: list[int]) -> None:
    """The coarse look sees two heads as one, between them."""
    side = looks.LARGE
    coarse = scored(np.array([[110.0, 100, side]]), [0.6])
    fine = scored(np.array([[100.0, 100, side], [120, 100, side]]), [0.7, 0.5])
    found = merge_two(coarse, fine.select(np.array(order)))
    assert sorted(found.xy[:, 0].tolist()) == [100, 120]


@pytest.mark.parametrize(
    ("side", "score", "other", "expected"),
    [
        (30.0, 0.6, 0.4, 0.6 - CONFIG.confirmation * 0.2),
        (30.0, 0.6, None, 0.6 - CONFIG.confirmation * 0.6),  # which the reduced look does not see
        (30.0, 0.6, 0.1, 0.6 - CONFIG.confirmation * 0.6),  # which it doubts
        (15.0, 0.6, None, 0.6),  # too small for it
        (30.0, 0.1, 0.9, 0.1),  # not sure enough to be compared
    ],
)
def test_a_score_follows_both_looks_where_both_know_the_size(
    side: float, score: float, other: float | None, expected: float
) -> None:
    fine = scored(np.array([[200.0, 300, side]]), [score])
    coarse = scored(
        np.empty((0, 3)) if other is None else np.array([[203.0, 300, side]]),
        [other or 0] * (other is not None),
    )
    found = merge_two(coarse, fine)
    assert found.scores.tolist() == pytest.approx([expected])


def test_nobody() -> None:
    eye = Eye(np.empty((0, 3)), (3000, 2000))
    found = search_scales((3000, 2000), eye.look, CONFIG)
    assert len(found) == 0
    assert found.image_size == (3000, 2000)


@pytest.mark.parametrize(
    ("x", "side", "meet"),
    [(100, 30, True), (114, 30, True), (116, 30, False), (100, 65, True), (100, 67, False), (100, 13, False)],
)
def test_candidates_that_meet_are_close_and_of_similar_size(x: float, side: float, meet: bool) -> None:
    """At most half a side apart, and at most 2.2 times as large."""
    coarse, fine = scored(np.array([[100.0, 100, 30]]), [0.9]), scored(np.array([[x, 100.0, side]]), [0.9])
    ours, theirs = looks._find_meetings(coarse, fine, CONFIG.sure)
    assert (ours.tolist(), theirs.tolist()) == (([0], [0]) if meet else ([], []))


def test_a_look_that_shows_a_head_too_large_confirms_nothing() -> None:
    for side, expected in ((45.0, 0.6 - CONFIG.confirmation * 0.6), (60.0, 0.6)):
        found = merge_two(scored(np.array([[200.0, 300, side]]), [0.6]), scored(np.empty((0, 3)), []))
        assert found.scores.tolist() == pytest.approx([expected])


def test_one_near_head_among_small_ones_does_not_keep_a_cell_from_a_finer_look() -> None:
    sides = np.array([5.0] * 8 + [60])
    heads = np.column_stack((np.linspace(10, 60, 9), np.full(9, 30.0), sides))
    cells, factor = choose_small_headed(points_of(heads, (640, 640)), Grid((640, 640), 64), 1.0, CONFIG.small)
    assert cells[0, 0]
    assert factor > 1


def test_cells_are_enlarged_by_the_median_of_their_sides_if_three_heads_are_near() -> None:
    heads = [[10.0 + 2 * i, 30, side] for i, side in enumerate((4.0, 5, 6))]
    far = [[410.0 + 2 * i, 30, 6.0] for i in range(3)]
    few = [[10.0 + 2 * i, 430, 5.0] for i in range(2)]
    grid = Grid((640, 640), 64)
    cells, factor = choose_small_headed(points_of(np.array(heads + far + few), grid.size), grid, 1.0, 7)
    assert np.argwhere(cells).tolist() == [[0, 0], [0, 6]]
    assert factor == min(looks.WANTED / np.median([5, 6]), looks.LARGEST_SCALE)
    _, factor = choose_small_headed(points_of(2 * np.array(heads + far), (1280, 1280)), grid, 0.5, 7)
    assert factor == pytest.approx(looks.WANTED / 5.5)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("x", [64, 96, 128])
@pytest.mark.parametrize("y", [64, 128])
def test_a_head_on_the_side_of_an_enlarged_cell_is_found_once(x: float, y: float, sign: float) -> None:
    """Where the finer look places it beside the cell in which the first one sees it, and the reverse."""
    size = (640, 640)
    heads = np.vstack((crowd(30, (40, 40), 6.5) + np.array([76, 76, 0]), [[x + 0.3, y + 0.3, 6.5]]))
    eye = Eye(heads, size)

    def look(scale: float, box: Box | None) -> Points:
        eye.heads = heads + sign * 0.3 * scale * np.array([1, 1, 0])
        margin = int(16 / scale)
        left, top, right, bottom = box or (0, 0, *size)
        return eye.look(scale, (left - margin, top - margin, right + margin, bottom + margin))

    assert len(search_scales(size, look, CONFIG)) == 31
    assert {scale for scale, _ in eye.seen} == {CONFIG.reduced, 1.0, looks.LARGEST_SCALE}


def test_a_head_that_three_looks_see_is_found_once() -> None:
    """The middle look, whose candidate the coarsest removes, cannot remove the finest one's."""
    grid = Grid((1000, 1000), 64)
    seen = [
        scored(np.array([[100.0, 100, side]]), [score]) for side, score in ((34, 0.9), (33, 0.5), (32, 0.7))
    ]
    found = merge(
        seen, [0.45, 1.0, 1.5], np.full(grid.shape, 2), grid, CONFIG.model_copy(update={"confirmation": 0.0})
    )
    assert found.scores.tolist() == pytest.approx([0.9])


def test_a_head_that_both_looks_may_have_is_kept_from_the_one_that_sees_it() -> None:
    for side, count in ((35.0, 1), (31.0, 0)):  # smaller ones are the finer look's alone
        coarse = scored(np.array([[200.0, 300, side]]), [0.9])
        assert len(merge_two(coarse, scored(np.empty((0, 3)), []))) == count
