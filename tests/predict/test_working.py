"""Rasters, working scales and the pruning of candidates: what keeps the memory for an image constant."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from drawn_rasters import bands, noise, write_raster
from tiny_models import INFO, info, write_tiny

from crowdpoint import images
from crowdpoint.errors import ImageError
from crowdpoint.methods.p2pnet.config import P2PNetConfig
from crowdpoint.opening import open_image
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.working import resize_for_network
from crowdpoint.rasters import Raster
from crowdpoint.recipe import ScalesConfig
from crowdpoint.tiles import split
from crowdpoint.zoo import DeviceName, PrecisionName


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.onnx")


def _dark(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Noise in which few of the model's cells are bright enough for a point."""
    picture = noise(height, width)
    return np.where(picture.mean(axis=2, keepdims=True) > 232, picture, 0).astype(np.uint8)


def test_a_raster_read_by_tiles_is_the_image_read_whole(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = _dark(700, 901)
    path = write_raster(tmp_path / "a.tif", bands(picture), tiled=True, blockxsize=256, blockysize=256)
    whole = Predictor.load(tiny).predict(picture)
    predictor = Predictor.load(tiny, tile=768)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("decoded whole")

    monkeypatch.setattr(images, "read", refused)
    seen: list[tuple[int, int]] = []
    found = predictor.predict(path, lambda done, count: seen.append((done, count)))
    with Raster(path) as raster:
        assert predictor.predict(raster) == found
    count = len(split((901, 700), 768))
    assert seen == [(done, count) for done in range(1, count + 1)]
    assert 100 < len(found) < 9000
    assert _sorted(found) == _sorted(whole)
    assert found.image_size == (901, 700)
    assert len(predictor.candidates(path)) == 113 * 87  # every cell whose centre is on it


def _sorted(points: Points) -> list[tuple[float, ...]]:
    return sorted(map(tuple, np.column_stack((points.xy, points.scores)).tolist()))


class CountingEngine:
    """A thousand proposals in the core of every tile, with scores from 0 to 1."""

    info = INFO
    device: DeviceName = "cpu"
    precision: PrecisionName = "fp32"

    def __init__(self) -> None:
        self.runs = 0

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        self.runs += 1
        places = np.array([[100.5, 300.5], [300.5, 300.5]], np.float32)  # in the first core or any other
        scores = np.linspace(0, 1, 1000, dtype=np.float32)
        return {"points": places.repeat(1000, axis=0)[None], "scores": np.tile(scores, 2)[None]}


def test_candidates_below_the_threshold_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    whole = Points.concat

    def concat(parts: list[Points]) -> Points:
        parts = list(parts)
        kept.append(sum(map(len, parts)))
        return whole(parts)

    monkeypatch.setattr(Points, "concat", concat)
    predictor = Predictor(CountingEngine(), threshold=0.9, tile=768)
    image = np.zeros((700, 900, 3), np.uint8)
    found = predictor.predict(image)
    everything = predictor.candidates(image)
    tiles = len(split((700, 900), 768))
    assert len(found) == kept[0] == 100 * tiles
    assert len(everything) == kept[1] == 1000 * tiles
    assert predictor.select(everything) == found


def test_tiles_without_data_are_not_run(tmp_path: Path) -> None:
    picture = np.zeros((3, 700, 900), np.uint8)
    picture[:, 600:, 800:] = 9
    engine = CountingEngine()
    predictor = Predictor(engine, tile=768)
    predictor.predict(write_raster(tmp_path / "a.tif", picture, nodata=0))
    assert 1 <= engine.runs < len(split((700, 900), 768))
    empty = write_raster(tmp_path / "b.tif", 0 * picture, nodata=0)
    assert predictor.predict(empty) == predictor.candidates(empty) == Points.empty((900, 700))
    assert predictor.inspect(empty).map is None


@pytest.mark.parametrize("scale", [0.5, 2.0, 1.37])
def test_points_are_in_pixels_of_the_image_at_any_scale(tiny: Path, tmp_path: Path, scale: float) -> None:
    picture = np.zeros((160, 1000, 3), np.uint8)
    heads = np.array([[40.5, 24.5], [120.5, 88.5], [203.5, 143.5]])
    for x, y in heads.astype(int):
        picture[y - 4 : y + 5, x - 4 : x + 5] = 255
    path = write_raster(tmp_path / "a.tif", bands(picture))
    predictor = Predictor.load(tiny, threshold=0.9, scale=scale, tile=768)
    for image in (picture, path):
        found = predictor.predict(image)
        assert found.image_size == (1000, 160)
        distances = np.linalg.norm(found.xy[:, None] - heads[None], axis=2)
        assert (distances.min(axis=0) < 8 / scale).all()
        assert (distances.min(axis=1) < 4 + 8 / scale).all()
    assert predictor.select(predictor.candidates(picture)) == predictor.predict(picture)


def test_working_sizes() -> None:
    with open_image(noise(10, 33)) as opened:
        seen = resize_for_network(opened, 0.5)
        assert (seen.original, seen.size) == ((33, 10), (16, 5))
        half = seen.window((0, 0, 16, 5))
        assert half is not None
        assert half.shape == (5, 16, 3)
        assert resize_for_network(opened, 0.01).size == (1, 1)
    with open_image(picture := noise(10, 33)) as opened:
        seen = resize_for_network(opened, 1.0)
        np.testing.assert_array_equal(seen.window((3, 2, 9, 8)), picture[2:8, 3:9])
        points = Points(np.array([[3, 4]]), image_size=(33, 10))
        assert seen.undo(points) is points


@pytest.mark.parametrize(
    ("scale", "max_side", "seen_size"),
    [(1.0, 20, (20, 6)), (1.0, 40, (33, 10)), (2.0, 50, (50, 15)), (0.5, 50, (16, 5))],
)
def test_max_side_shrinks_images(scale: float, max_side: int, seen_size: tuple[int, int]) -> None:
    with open_image(noise(10, 33)) as opened:
        assert resize_for_network(opened, scale, max_side).size == seen_size


def test_an_enlarged_image_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(10, 33)
    with pytest.raises(ImageError, match="scale 1e\\+06 enlarges 33x10 to 33000000x10000000 pixels"):
        Predictor(CountingEngine(), scale=1e6).predict(picture)
    monkeypatch.setattr(images, "PIXEL_LIMIT", 200)
    for scale in (0.9, 1.0):  # the caller has accepted as many pixels as there are
        with open_image(picture) as opened:
            width, height = resize_for_network(opened, scale).size
            assert width * height > 200


def test_max_side_must_be_positive() -> None:
    with pytest.raises(ValueError, match="max_side: expected at least 1 pixel, found 0"):
        Predictor(CountingEngine(), max_side=0)


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan"), "large"])
def test_bad_scales(scale: Any) -> None:
    with pytest.raises(ValueError, match="scale: expected auto or a factor above 0, found"):
        Predictor(CountingEngine(), scale=scale)


@pytest.mark.parametrize("name", ["p2pnet-lite", "fidtm-lite"])
def test_tiles_of_real_crowds(name: str, shared_data: Path) -> None:
    """Images in tiles have the count of the whole, within 0.5 %."""
    from crowdpoint import datasets, zoo

    if not any(model.embedded for model in zoo.list_models() if model.name == name):
        pytest.skip(f"{name} is not embedded in this checkout: git checkout src/crowdpoint/weights")
    samples = datasets.load("shanghaitech-a", shared_data / "shanghaitech", "test")[:2]
    counts = [
        sum(len(Predictor.load(name, tile=tile).predict(sample.image)) for sample in samples)
        for tile in (768, 2048)
    ]
    assert abs(counts[0] - counts[1]) <= 0.005 * counts[1]


def test_a_box_of_the_image_in_working_pixels_covers_it_with_a_margin() -> None:
    with open_image(noise(100, 331)) as opened:
        seen = resize_for_network(opened, 0.5)
    assert seen.working_box((53, 43, 55, 45)) == (10, 5, 44, 39), "16 pixels around (26, 21, 28, 23)"
    assert seen.working_box((0, 0, 331, 100)) == (0, 0, 166, 50)


def test_the_scale_is_that_of_the_finest_look(tiny: Path) -> None:
    picture = _dark(300, 400)
    for options, scale in (({}, 1.0), ({"scale": 2.0}, 2.0), ({"max_side": 100}, 0.25)):
        predictor = Predictor.load(tiny, **options)
        assert predictor.search(picture)[1] == predictor.inspect(picture).scales == (scale, scale)
    assert Predictor(SmallHeads(2000)).search(_dark(1000, 2000))[1].finest == pytest.approx(1.5)
    assert Predictor(SmallHeads(0)).inspect(_dark(1000, 2000)).scales.finest == pytest.approx(0.512, rel=1e-3)


@pytest.mark.parametrize("threshold", [0.25, 0.4, 0.5, 0.8])
def test_a_threshold_selects_from_the_candidates_of_two_looks(threshold: float) -> None:
    predictor = Predictor(Wavering(), threshold=0.5)
    picture = noise(480, 640)
    candidates = predictor.candidates(picture)
    found = predictor.predict(picture, threshold=threshold)
    assert 0 < len(found) < len(candidates)
    assert _sorted(found) == _sorted(candidates.threshold(threshold))


class Wavering:
    """Finds 200 heads with a side of 30 pixels of an image 640 wide, with other scores in each look."""

    info = info(P2PNetConfig(predict_sizes=True, scales=ScalesConfig(reduced=0.4, confirmation=0.4)))
    device: DeviceName = "cpu"
    precision: PrecisionName = "fp32"

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        scale = images.shape[3] / 640
        places = np.random.default_rng(0).uniform((0, 0), (600, 440), (1, 200, 2)) * scale
        scores = np.random.default_rng(images.shape[3]).uniform(0, 1, (1, 200)).astype(np.float32)
        sides = np.full((1, 200), 30 * scale, np.float32)
        return {"points": places.astype(np.float32), "scores": scores, "sides": sides}


class SmallHeads:
    """Finds heads with a side of 4 pixels in each place, whatever the scale."""

    info = info(P2PNetConfig(predict_sizes=True))
    device: DeviceName = "cpu"
    precision: PrecisionName = "fp32"

    def __init__(self, count: int) -> None:
        self._count = count

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        height, width = images.shape[2:]
        points = np.random.default_rng(0).uniform((0, 0), (width, height), (1, self._count, 2))
        ones = np.ones((1, self._count), np.float32)
        return {"points": points.astype(np.float32), "scores": ones, "sides": 4 * ones}
