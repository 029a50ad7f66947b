"""The inputs of `hostile`: valid files that are drawn here, damaged, and read as the commands read them."""

import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml
from mutations import Random, bytes_of, text_of, word
from PIL import ExifTags, Image

from crowdpoint import formats, images, zones
from crowdpoint.config import find_recipe, load_recipe
from crowdpoint.errors import CrowdpointError
from crowdpoint.formats import jhu, trancos
from crowdpoint.opening import open_image
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.rasters import Raster, is_raster

PICTURES = 80
"""Valid pictures from which the damaged ones are made."""


@dataclass(frozen=True, slots=True)
class Seed:
    """One valid file.

    Attributes:
        name: its file name.
        data: its content.
        use: reads a file of this kind.
        beside: files that lie beside it, by name.
        text: whether it is damaged as a text, too.
    """

    name: str
    data: bytes
    use: Callable[[Path], object]
    beside: tuple[tuple[str, bytes], ...] = ()
    text: bool = False


class Damaged:
    """Damaged files in a folder, one at a time.

    Args:
        seeds: valid ones.
        folder: an empty folder.
    """

    def __init__(self, seeds: Sequence[Seed], folder: Path) -> None:
        self._seeds = seeds
        self._folder = folder

    def make(self, rng: Random) -> tuple[Path, Callable[[Path], object]]:
        """Write one; returns it and what reads it."""
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        seed, other = (self._seeds[i] for i in rng.integers(len(self._seeds), size=2))
        damaged = seed.text and rng.integers(4)
        data = text_of(seed.data, rng) if damaged else bytes_of(seed.data, rng, other.data)
        for name, content in (*seed.beside, (seed.name, data)):
            (self._folder / name).write_bytes(content)
        return self._folder / seed.name, seed.use

    def pixels(self, path: Path) -> int:
        """The pixels that a picture says it has; 0 for others."""
        try:
            if is_raster(path):
                with Raster(path) as raster:
                    width, height = raster.size
            else:
                width, height = images.read_size(path)
        except CrowdpointError:
            return 0
        return width * height


def pictures(rng: Random, _: Path) -> list[Seed]:
    """Pictures of every kind that is read."""
    import pillow_heif

    pillow_heif.register_heif_opener()  # to write some; `images` reads them by itself
    kinds = list(_PICTURES)
    return [_picture(kinds[number % len(kinds)], number, rng) for number in range(PICTURES)]


def _picture(kind: tuple[str, str, dict[str, Any]], number: int, rng: Random) -> Seed:
    suffix, mode, options = kind
    width, height = (int(side) for side in rng.integers(1, 200, 2))
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    image = (
        Image.fromarray(coarse).resize((width, height)).convert("RGB" if mode in ("deep", "map") else mode)
    )
    stream = io.BytesIO()
    if mode == "deep":
        data = _deep(suffix, np.asarray(image).astype(np.uint16) << int(rng.integers(2, 9)))
    elif mode == "map":
        data = _on_map(np.asarray(image), options)
    else:
        if "frames" in options:
            options = {"save_all": True, "append_images": [image.rotate(180)] * options["frames"]}
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = int(rng.integers(1, 9))
        if suffix in (".jpg", ".png", ".webp"):
            options = {**options, "exif": exif}
        image.save(stream, _KINDS[suffix], **options)
        data = stream.getvalue()
    return Seed(f"{number}{suffix}", data, _open)


def _deep(suffix: str, pixels: Any) -> bytes:
    import cv2

    return bytes(cv2.imencode(suffix, pixels)[1])


def _on_map(pixels: Any, options: dict[str, Any]) -> bytes:
    import rasterio
    from rasterio.io import MemoryFile

    height, width = pixels.shape[:2]
    place = rasterio.transform.from_origin(500_000, 5_000_000, 0.1, 0.1)
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32633",
    }
    with MemoryFile() as memory:
        with memory.open(**profile, transform=place, **options) as file:
            file.write(pixels.transpose(2, 0, 1))
        return bytes(memory.read())


_KINDS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF", ".tif": "TIFF"}
_KINDS |= {".jp2": "JPEG2000", ".avif": "AVIF", ".heic": "HEIF"}

_PICTURES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *((".jpg", mode, options) for mode in ("RGB", "L", "CMYK") for options in ({}, {"progressive": True})),
    *((".png", mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "deep")),
    *(
        (".webp", mode, options)
        for mode in ("RGB", "RGBA")
        for options in ({}, {"lossless": True}, {"frames": 2})
    ),
    *((".bmp", mode, {}) for mode in ("RGB", "L", "P", "1")),
    *((".gif", "P", options) for options in ({}, {"frames": 3})),
    *(
        (".tif", mode, {"compression": how})
        for mode in ("RGB", "L")
        for how in (None, "tiff_lzw", "tiff_deflate", "jpeg")
    ),
    *((".tif", mode, {}) for mode in ("RGBA", "CMYK", "P", "I;16", "F", "I", "deep")),
    *((".tif", "1", {"compression": how}) for how in ("group3", "group4", "packbits")),
    *(
        (".tif", "map", options)
        for options in ({}, {"tiled": True, "blockxsize": 16, "blockysize": 16}, {"compress": "zstd"})
    ),
    *((".jp2", mode, {}) for mode in ("RGB", "L", "RGBA")),
    *((".avif", mode, {}) for mode in ("RGB", "RGBA")),
    (".heic", "RGB", {}),
)
"""Ending, mode, and how Pillow or rasterio writes it."""


def _open(path: Path) -> object:
    """Decode as `predict` does: a reduced copy, and every window at a smaller size."""
    with open_image(str(path)) as image:
        image.thumbnail(256)
        width, height = size = images.scaled_size(image.size, max_side=1024)
        return image.resize(size)((0, 0, width, height))


def annotations(rng: Random, folder: Path) -> list[Seed]:
    """Files of points in every format, of zones, and recipes."""
    found = [*_points(rng, folder), *_datasets(rng)]
    for number, document in enumerate(_zones()):
        data = yaml.safe_dump(document, sort_keys=False).encode()
        found.append(Seed(f"zones{number}.yaml", data, _count, text=True))
    recipes = ("p2pnet-lite", "fidtm-lite", "fidtm-trancos")
    return found + [
        Seed("recipe.yaml", find_recipe(name).read_bytes(), load_recipe, text=True) for name in recipes
    ]


def _points(rng: Random, folder: Path) -> Iterator[Seed]:
    photo = io.BytesIO()
    Image.new("RGB", (640, 480)).save(photo, "PNG")
    for name, known in formats.FORMATS.items():
        several = 1 if known.file_name else 3
        drawn = {f"IMG_{number}": _heads(rng) for number in range(1, several + 1)}
        shutil.rmtree(folder)
        folder.mkdir()
        file = folder / (known.file_name("IMG_1") if known.file_name else f"points{known.suffixes[0]}")
        formats.write(file, drawn, name)
        written = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        beside = {"IMG_1.png": photo.getvalue()} | written
        data, binary = beside.pop(file.name), known.suffixes[0] == ".mat"
        yield Seed(
            file.name, data, partial(formats.read, format=name), tuple(beside.items()), text=not binary
        )
        yield Seed(file.name, data, formats.read, tuple(beside.items()), text=not binary)


def _heads(rng: Random) -> Points:
    count = int(rng.integers(1, 6))
    xy = rng.uniform(1, 479, (count, 2)).astype(np.float32)
    scores = rng.uniform(0, 1, count).astype(np.float32)
    return Points(xy, scores, rng.uniform(1, 30, (count, 2)).astype(np.float32), (640, 480))


def _datasets(rng: Random) -> Iterator[Seed]:
    import h5py
    from scipy.io import savemat

    heads = b"".join(b"%d %d 10 12 1 0\n" % tuple(row) for row in rng.integers(0, 480, (5, 2)))
    yield Seed("1.txt", heads, jhu.read, text=True)
    yield Seed("image_labels.txt", b"1,8,stadium,1,0\n2,12,street,0,0\n", jhu.read_labels, text=True)
    for packed in (False, True):
        mask, points = io.BytesIO(), io.BytesIO()
        savemat(cast(Any, mask), {"BW": np.ones((48, 64), np.uint8)}, do_compression=packed)
        yield Seed("mask.mat", mask.getvalue(), partial(trancos.read_mask, image_size=(64, 48)))
        savemat(cast(Any, points), {"annPoints": rng.uniform(0, 480, (9, 2))}, do_compression=packed)
        yield Seed("1_ann.mat", points.getvalue(), formats.read)
    hdf5 = io.BytesIO()
    with h5py.File(hdf5, "w") as file:
        file.create_dataset("annPoints", data=rng.uniform(0, 480, (2, 9)))
    yield Seed("2_ann.mat", hdf5.getvalue(), formats.read)


def _zones() -> Iterator[dict[str, Any]]:
    square = [[0, 0], [100, 0], [100, 100], [0, 100]]
    alert = {"above": 5, "clear": 3, "for": "10s"}
    yield {"image_size": [640, 480], "zones": [{"name": "a", "polygon": square, "alert": alert}]}
    corners = [[0, 0], [640, 0], [640, 480], [0, 480]]
    ground = {"image": corners, "metres": [[0, 0], [9, 0], [9, 5], [0, 5]]}
    yield {
        "ground": ground,
        "zones": [{"name": "a", "polygon": square}],
        "lines": [{"name": "l", "line": square[:2]}],
    }


def _count(path: Path) -> object:
    """Count in zones, as `predict` and `video` do."""
    known = zones.load(path)
    counts = known.count(Points(np.array([[50, 50]], np.float32), image_size=(640, 480)))
    return known.densities(counts)


def _checkpoint(folder: Path) -> list[Seed]:
    """The parts of a checkpoint."""
    from crowdpoint import checkpoint
    from crowdpoint.zoo import WEIGHTS

    weights, recipe = checkpoint.load(WEIGHTS / "p2pnet-lite.onnx")
    checkpoint.save(folder / "run", weights, recipe)
    parts = {path.name: path.read_bytes() for path in sorted((folder / "run").iterdir())}
    return [
        Seed(
            name,
            data,
            _load_folder,
            tuple(other for other in parts.items() if other[0] != name),
            text=name.endswith("yaml"),
        )
        for name, data in parts.items()
    ]


def _load_folder(path: Path) -> object:
    return _run(path.parent)


def _run(path: Path) -> object:
    return Predictor.load(path, threads=1).predict(np.zeros((64, 64, 3), np.uint8))


class DamagedModels(Damaged):
    """Damaged model files: bytes of a checkpoint and an ONNX file, and what an ONNX file says of itself."""

    def __init__(self, folder: Path) -> None:
        super().__init__(_checkpoint(folder), folder)
        import onnx

        from crowdpoint.zoo import WEIGHTS

        self._data = [(WEIGHTS / f"{name}.onnx").read_bytes() for name in ("p2pnet-lite", "fidtm-lite")]
        self._models = [onnx.load_from_string(data) for data in self._data]

    def make(self, rng: Random) -> tuple[Path, Callable[[Path], object]]:
        """Write one; returns it and what reads it."""
        kind = rng.integers(4)
        if kind == 0:
            return super().make(rng)
        path = self._folder / "model.onnx"
        number = int(rng.integers(len(self._models)))
        if kind == 1:
            path.write_bytes(bytes_of(self._data[number], rng, self._data[0]))
        else:
            path.write_bytes(self._change_text(number, rng))
        return path, _run

    def _change_text(self, number: int, rng: Random) -> bytes:
        """Replace or remove the text of one of the file's keys."""
        model = type(self._models[number])()
        model.CopyFrom(self._models[number])
        entry = model.metadata_props[rng.integers(len(model.metadata_props))]
        way = rng.integers(3)
        if way == 0:
            entry.value = word(rng)
        elif way == 1:
            entry.value = text_of(entry.value.encode(), rng).decode("utf-8", "replace")
        else:
            model.metadata_props.remove(entry)
        return bytes(model.SerializeToString())
