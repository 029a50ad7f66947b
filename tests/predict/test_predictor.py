import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tiny_models import INFO

from crowdpoint.errors import ImageError, MissingExtraError, ModelError
from crowdpoint.methods import Piece
from crowdpoint.opening import ImageSource
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict import Predictor
from crowdpoint.recipe import ModelConfig
from crowdpoint.zoo import DeviceName, PrecisionName

REACH = 224  # pixels around a cell that the fake network sees; with the offsets, less than the tiles' margin


class CovariantEngine:
    """A fake network that sees only its neighbourhood, in integers: results can be compared exactly."""

    info = INFO
    device: DeviceName = "cpu"
    precision: PrecisionName = "fp32"

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        self.shapes.append(images.shape)
        _, _, height, width = images.shape
        pixels = images[0].sum(axis=0).astype(np.int64)
        pixels = np.pad(pixels, ((0, -height % 32), (0, -width % 32)))
        sums = np.pad(pixels, REACH).cumsum(axis=0).cumsum(axis=1)
        sums = np.pad(sums, ((1, 0), (1, 0)))
        rows, columns = -(-height // 8), -(-width // 8)
        y, x = 8 * np.arange(rows)[:, None], 8 * np.arange(columns)[None]
        around = 2 * REACH
        seen = sums[y + around, x + around] - sums[y, x + around] - sums[y + around, x] + sums[y, x]
        xy = np.stack(
            np.broadcast_arrays(x + 4 + (seen % 64 - 32) / 4, y + 4 + (seen % 60 - 30) / 4), axis=-1
        )
        return {
            "points": xy.reshape(1, -1, 2).astype(np.float32),
            "scores": (seen % 257 / 256).reshape(1, -1).astype(np.float32),
        }


class BrokenEngine(CovariantEngine):
    """A network whose weights are damaged."""

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        outputs = super().run(images)
        outputs["points"][0, 0] = np.nan
        return outputs


def test_outputs_that_are_not_finite_raise() -> None:
    with pytest.raises(
        ModelError, match=r"tiny: its output points is NaN or infinite; its weights are damaged"
    ):
        Predictor(BrokenEngine()).predict(np.zeros((64, 64, 3), np.uint8))


def _rows(points: Points) -> npt.NDArray[np.float32]:
    table = np.column_stack((points.xy, points.scores))
    return table[np.lexsort(table.T)]


@pytest.mark.parametrize("shape", [(700, 901), (2000, 321), (97, 6400)])
def test_tiled_equals_whole_exactly(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    whole, tiled = CovariantEngine(), CovariantEngine()
    expected = Predictor(whole).candidates(image)
    predictor = Predictor(tiled, tile=768)
    found = predictor.candidates(image)
    assert len(whole.shapes) == 1 < len(tiled.shapes)
    assert max(side for shape in tiled.shapes for side in shape) <= 768
    assert len(found) > 1000
    assert found.image_size == expected.image_size == (shape[1], shape[0])
    np.testing.assert_array_equal(_rows(found), _rows(expected))
    np.testing.assert_array_equal(_rows(predictor.predict(image)), _rows(Predictor(whole).predict(image)))


def _dots() -> npt.NDArray[np.uint8]:
    image = np.zeros((40, 61, 3), np.uint8)
    image[10, 20] = 255
    image[33, 5] = 160
    image[34, 50] = 100
    return image


def test_finds_bright_dots(tiny: Path) -> None:
    predictor = Predictor.load(tiny)
    found = predictor.predict(_dots())
    assert found.xy.tolist() == [[20, 12], [4, 36]]
    assert found.scores == pytest.approx([1, 160 / 255], abs=1e-3)
    assert found.image_size == (61, 40)
    candidates = predictor.candidates(_dots())
    assert len(candidates) == 5 * 8
    assert predictor.select(candidates) == found
    assert predictor.info == INFO


def test_threshold_overrides_the_models_own(tiny: Path) -> None:
    assert [len(Predictor.load(tiny, threshold=t).predict(_dots())) for t in (0.3, 0.5, 0.9)] == [3, 2, 1]
    predictor = Predictor.load(tiny, threshold=0.9)
    for threshold, count in ((0, 5 * 8), (0.3, 3), (0.5, 2), (None, 1)):
        assert len(predictor.predict(_dots(), threshold=threshold)) == count


def test_tiles_drop_points_below_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def decode(config: ModelConfig, pieces: Iterable[Piece], size: tuple[int, int], least: float) -> Points:
        asked.append(least)
        return Points.empty(size)

    monkeypatch.setattr(INFO.method, "decode", decode)
    predictor = Predictor(CovariantEngine())
    predictor.predict(_dots())
    predictor.predict(_dots(), threshold=0.2)
    predictor.candidates(_dots())
    assert asked == [INFO.threshold, 0.2, 0]


def test_paths_texts_and_bytes_are_read(tiny: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(tiny)
    path = tmp_path / "dots.png"
    Image.fromarray(_dots()).save(path)
    expected = predictor.predict(_dots())
    for image in (path, str(path), path.read_bytes()):
        assert predictor.predict(image) == expected


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1, 400)])
def test_small_images(tiny: Path, shape: tuple[int, int]) -> None:
    found = Predictor.load(tiny).predict(np.zeros((*shape, 3), np.uint8))
    assert found == Points.empty((shape[1], shape[0]))


def test_strided_views_are_accepted(tiny: Path) -> None:
    predictor = Predictor.load(tiny)
    assert predictor.predict(_dots()[:, ::-1][:, ::-1]) == predictor.predict(_dots())


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.uint8), "expected an RGB array of shape (H, W, 3), found (4, 4)"),
        (np.zeros((3, 4, 4), np.uint8), "found (3, 4, 4)"),
        (np.zeros((4, 4, 4), np.uint8), "found (4, 4, 4)"),
        (np.zeros((0, 4, 3), np.uint8), "found (0, 4, 3)"),
        (np.zeros((4, 4, 3), np.float32), "expected uint8 values in [0, 255], found an array of float32"),
        (b"not an image", "not a"),
    ],
)
def test_bad_images(tiny: Path, image: npt.NDArray[np.uint8] | bytes, message: str) -> None:
    with pytest.raises(ImageError, match=re.escape(message)):
        Predictor.load(tiny).predict(image)


@pytest.mark.parametrize("name", ["data:image/png;base64," + "A" * 5000, "a\0b.png"])
def test_texts_that_no_file_can_be_called(tiny: Path, name: str) -> None:
    with pytest.raises(ImageError, match="cannot be read as an image"):
        Predictor.load(tiny).predict(name)


def test_bad_arguments(tiny: Path) -> None:
    with pytest.raises(ValueError, match=r"threshold: expected a score in \[0, 1\], found 1.5"):
        Predictor.load(tiny, threshold=1.5)
    with pytest.raises(ValueError, match=r"threshold: expected a score in \[0, 1\], found -0.1"):
        Predictor.load(tiny).predict(_dots(), threshold=-0.1)
    with pytest.raises(ValueError, match="tile: expected a multiple of 32"):
        Predictor.load(tiny, tile=1000)


def test_a_checkpoint_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("weights.safetensors", "config.yaml"):
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "crowdpoint.predict.torch", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'crowdpoint\[train\]'"):
        Predictor.load(tmp_path)


def test_exif_orientation_is_applied(tiny: Path) -> None:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(_dots()).save(stream, "PNG", exif=exif)
    assert Predictor.load(tiny).predict(stream.getvalue()).image_size == (40, 61)


def test_open_files(tiny: Path, tmp_path: Path) -> None:
    """A file is an iterator, too, of its lines."""
    predictor = Predictor.load(tiny)
    path = tmp_path / "dots.png"
    Image.fromarray(_dots()).save(path)
    one = predictor.predict(path)
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        assert predictor.predict(file) == predictor.predict(raw) == one
    assert predictor.predict([io.BytesIO(path.read_bytes())]) == [one]
    with path.open(encoding="latin-1") as text, pytest.raises(ImageError, match="found TextIOWrapper"):
        predictor.predict(text)


def test_lists_and_generators(tiny: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(tiny)
    Image.fromarray(_dots()).save(tmp_path / "dots.png")
    several: list[ImageSource] = [_dots(), tmp_path / "dots.png", Image.fromarray(_dots())]
    one = predictor.predict(_dots())
    assert predictor.predict(several) == predictor.predict(tuple(several)) == [one] * 3
    taken: list[int] = []

    def camera() -> Iterator[npt.NDArray[np.uint8]]:
        for number in range(3):
            taken.append(number)
            yield _dots()

    found = predictor.predict(camera(), threshold=0.9)
    assert taken == []
    assert next(found) == one.threshold(0.9)
    assert taken == [0]
    assert len(list(found)) == 2
    with pytest.raises(ImageError, match=r"image: expected a path.*found list"):
        predictor.candidates(several)  # type: ignore[arg-type]
