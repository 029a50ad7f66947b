from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pytest

from crowdpoint.errors import ConfigError
from crowdpoint.methods import METHODS, Piece
from crowdpoint.methods.density.config import DensityConfig
from crowdpoint.methods.fidtm.config import FIDTMConfig, LMDSConfig
from crowdpoint.methods.fidtm.peaks import local_maxima
from crowdpoint.methods.p2pnet.config import GatherConfig, P2PNetConfig
from crowdpoint.points import FloatArray, Points
from crowdpoint.recipe import ModelConfig
from crowdpoint.tiles import Tile, split

PROPOSALS, PEAKS = P2PNetConfig(), FIDTMConfig()
OUTPUTS = {
    "points": np.array([[[0, 0], [9.5, 4.5], [10, 2], [3, 5], [-0.1, 1], [2, 3]]], np.float32),
    "scores": np.array([[0.2, 0.5, 0.9, 0.9, 0.9, 1.0000001]], np.float32),
}


def decode(
    config: ModelConfig, pieces: Iterable[Piece], size: tuple[int, int], least: float = 0.0, *overrides: str
) -> Points:
    """The points of a model with this configuration, changed as `--set` does."""
    found = METHODS[config.method].decode(config.override(overrides, "tiny"), pieces, size, least)
    assert isinstance(found, Points)
    return found


def whole(outputs: dict[str, FloatArray], size: tuple[int, int]) -> list[Piece]:
    return [(Tile((0, 0, *size), (0, 0, *size)), outputs)]


def pieces(values: FloatArray, side: int) -> Iterator[Piece]:
    """What a network without context would say of the map's tiles."""
    for tile in split(values.shape[::-1], side, margin=128):
        left, top, right, bottom = tile.window
        yield tile, {"map": values[None, None, top:bottom, left:right]}


def rows(points: Points) -> npt.NDArray[np.float32]:
    """(x, y, score) in reading order of the cells."""
    return np.column_stack((points.xy, points.scores))[np.lexsort(np.floor(points.xy).T)]


def noise(height: int, width: int, scale: float) -> FloatArray:
    """Random values that reach above 1 and below 0, each in two cells side by side."""
    values = np.random.default_rng(2).normal(0.3, 0.3, (height, width // 2 + 1)).astype(np.float32)
    return scale * values.repeat(2, axis=1)[:, :width]


def test_candidates_are_the_proposals_on_the_image_whatever_their_score() -> None:
    expected = Points([[0, 0], [9.5, 4.5], [2, 3]], [0.2, 0.5, 1], image_size=(10, 5))  # type: ignore[arg-type]
    assert decode(PROPOSALS, whole(OUTPUTS, (10, 5)), (10, 5)) == expected
    assert decode(PROPOSALS, whole(OUTPUTS, (10, 5)), (10, 5), 0.4) == expected.threshold(0.4)


def test_sides_are_sizes_of_squares() -> None:
    sides = np.array([[3, 5, 7, 9, 11, 13]], np.float32)
    found = decode(PROPOSALS, whole(OUTPUTS | {"sides": sides}, (10, 5)), (10, 5))
    assert found.sizes is not None
    assert found.sizes.tolist() == [[3, 3], [5, 5], [13, 13]]


def test_no_proposals() -> None:
    outputs = {"points": np.empty((1, 0, 2), np.float32), "scores": np.empty((1, 0), np.float32)}
    assert decode(PROPOSALS, whole(outputs, (3, 4)), (3, 4)) == Points.empty((3, 4))


def test_scores_are_relative_to_the_highest_maximum() -> None:
    fidt = np.zeros((1, 1, 8, 9), np.float32)
    fidt[0, 0, 2, 3], fidt[0, 0, 6, 7] = 0.8, 0.2
    found = decode(PEAKS, whole({"map": fidt}, (9, 8)), (9, 8))
    assert found.xy.tolist() == [[3.5, 2.5], [7.5, 6.5]]
    assert found.scores.tolist() == pytest.approx([1, 0.25])


def test_a_low_map_has_no_people() -> None:
    fidt = np.full((1, 1, 4, 4), 0.01, np.float32)
    fidt[0, 0, 1, 1] = 0.099  # below T_f
    assert decode(PEAKS, whole({"map": fidt}, (4, 4)), (4, 4)) == Points.empty((4, 4))
    lower = decode(PEAKS, whole({"map": fidt}, (4, 4)), (4, 4), 0.5, "negative_threshold=0.05")
    assert lower.xy.tolist() == [[1.5, 1.5]]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kernel": 5},
        {"adaptive": False},
        {"negative_threshold": 0.9},
        {"smooth": True},
        {"merge_plateaus": True},
        {"refine": True},
    ],
)
@pytest.mark.parametrize("scale", [0.8, 1.7])
def test_tiles_with_any_setting_are_algorithm_1_on_the_whole_map(
    settings: dict[str, object], scale: float
) -> None:
    """The threshold follows the true maximum of the whole, also above 1, where scores end."""
    values = noise(330, 700, scale)
    expected = local_maxima(values, threshold=0.2, lmds=LMDSConfig.model_validate(settings))
    own = FIDTMConfig(lmds=LMDSConfig.model_validate(settings))
    tiles = list(pieces(values, 320))
    assert len(tiles) > 3
    found = decode(own, tiles, (700, 330)).threshold(0.2)
    assert len(found) > 100
    assert found.image_size == (700, 330)
    np.testing.assert_allclose(rows(found), rows(expected), atol=1e-4)
    early = decode(own, tiles, (700, 330), 0.2).threshold(0.2)
    np.testing.assert_allclose(rows(early), rows(expected), atol=1e-4)


def test_settings_default_to_the_model() -> None:
    values = noise(40, 40, 1.0)
    own = FIDTMConfig(lmds=LMDSConfig(kernel=7))
    counts = [
        len(decode(config, pieces(values, 320), (40, 40), 0.0, *overrides))
        for config, *overrides in ((PEAKS,), (own,), (own, "kernel=3"), (own, "adaptive=false"))
    ]
    assert counts[0] == counts[2] > counts[1] == counts[3]


def test_proposals_are_gathered_after_merging_tiles() -> None:
    """Two that mean one head lie on both sides of a border between tiles, one of them below the threshold."""
    left, right, size = Tile((0, 0, 40, 20), (0, 0, 20, 20)), Tile((0, 0, 40, 20), (20, 0, 40, 20)), (40, 20)
    outputs = {
        "points": np.array([[[18, 8], [22, 8]]], np.float32),
        "scores": np.array([[0.5, 0.3]], np.float32),
    }
    tiles, own = [(left, outputs), (right, outputs)], P2PNetConfig(gather=GatherConfig(radius=5))
    for config, overrides, expected in (
        (PROPOSALS, (), [0.5, 0.3]),
        (own, (), [0.65]),
        (own, ("radius=3",), [0.5, 0.3]),
        (own, ("floor=0.4",), [0.5, 0.3]),
        (PROPOSALS, ("radius=5",), [0.65]),
    ):
        assert decode(config, tiles, size, 0.0, *overrides).scores.tolist() == pytest.approx(expected)
    np.testing.assert_allclose(decode(own, tiles, size, 0.6).xy, [[19.5, 8]], atol=1e-5)


@pytest.mark.parametrize(
    ("config", "override", "complaint"),
    [
        (
            PEAKS,
            "kernal=5",
            r"^tiny: no such setting: kernal; there are kernel, adaptive, negative_thr",
        ),
        (PEAKS, "kernel=4", r"^tiny: invalid configuration: kernel: .*expected an odd number"),
        (PEAKS, "kernel=1", r"kernel: .*greater than or equal to 3"),
        (PEAKS, "adaptive=perhaps", r"adaptive: .*boolean"),
        (PROPOSALS, "kernel=5", r"^tiny: no such setting: kernel; there are radius, floor"),
        (DensityConfig(), "refine=true", r"no such setting: refine; density has none"),
    ],
)
def test_wrong_settings(config: ModelConfig, override: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        config.override([override], "tiny")
