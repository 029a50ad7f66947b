"""Read and write point files in all supported formats.

Each format is one `Format` in a small module. To add a format, write its module and list it here.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crowdpoint import folders
from crowdpoint.errors import FormatError
from crowdpoint.formats import (
    coco,
    cvat,
    documents,
    geojson,
    geopackage,
    label_studio,
    labelme,
    mat,
    nwpu,
    p2pnet,
    records,
    table,
    voc,
    yolo,
)
from crowdpoint.formats.classes import Classes
from crowdpoint.formats.format import Field, Format
from crowdpoint.formats.image_names import plain_name
from crowdpoint.formats.text import list_regular_files, wrap_read_errors
from crowdpoint.names import escape
from crowdpoint.outputs import write_atomically
from crowdpoint.points import Points

if TYPE_CHECKING:
    from crowdpoint.rasters import Georeference  # slow to import

__all__ = ["FORMATS", "Classes", "Format", "choose_format", "list_losses", "read", "write", "write_map"]

FORMATS = {
    format.name: format
    for format in (
        table.CSV,
        records.JSON,
        geojson.GEOJSON,
        coco.KEYPOINTS,
        coco.BOXES,
        label_studio.LABEL_STUDIO,
        labelme.LABELME,
        cvat.CVAT,
        voc.VOC,
        yolo.YOLO,
        p2pnet.LIST,
        p2pnet.POINTS,
        nwpu.POINTS,
        nwpu.TRUTH,
        mat.SHANGHAITECH,
        mat.UCF_CC_50,
    )
}
"""All formats by name."""

_REMEDY = "convert it to another with crowdpoint convert --from FORMAT"


def read(
    path: str | Path, format: str | None = None, *, alone: bool = False, classes: Classes | None = None
) -> dict[str, Points]:
    """Read points as a mapping from image id to `Points`, in the order of the file.

    Args:
        path: a file, or a folder whose point files are read in natural order (IMG_2 before IMG_10).
        format: one of `FORMATS`; by default, detected from the extension and, if ambiguous, the content.
        alone: the file is known to describe a single image. Resolves ambiguity in favour of formats with one
            file per image.
        classes: which classes to read, all by default; counts those that the files have.

    Raises:
        FormatError: if there is no such file, the format is unknown or cannot be detected, a file is invalid,
            or no annotation has a wanted class.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/points.csv", {"a.jpg": Points([[1.5, 2]]), "b.jpg": Points.empty()})
    ...     {image: points.xy.tolist() for image, points in read(f"{folder}/points.csv").items()}
    {'a.jpg': [[1.5, 2.0]], 'b.jpg': []}
    """
    path = Path(path)
    classes = classes or Classes()
    points = read_part(path, format, alone=alone, classes=classes)
    classes.check(path)
    return points


def read_part(
    path: Path, format: str | None = None, *, alone: bool, classes: Classes, remedy: str = _REMEDY
) -> dict[str, Points]:
    """Read points as `read` does from a part of the files that may lack a wanted class.

    The error about a format that cannot be detected recommends the `remedy`.
    """
    known = None if format is None else _find_format(format)
    with wrap_read_errors(path):
        path.stat()  # a misspelt name has no format
    files = _list_files(path, known) if path.is_dir() else [path]
    known = known or _detect(files, alone, remedy)
    points: dict[str, Points] = {}
    for file in files:
        for image, found in known.read(file, classes).items():
            if image in points:
                raise FormatError(f"{file}: image {image} is also in another file of the folder")
            points[image] = found
    return points


def write(path: str | Path, points: Mapping[str, Points], format: str | None = None) -> None:
    r"""Write or replace a point file atomically, and create its folder.

    Args:
        path: the file; for formats with one file per image also a folder, new or existing.
        points: image id -> Points. `list_losses` reports data that the format cannot store.
        format: one of `FORMATS`; by default, chosen by the extension.

    Raises:
        FormatError: if the format is unknown, or cannot store the points.
        TypeError: if `points` is no such mapping.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.txt", {"a": Points([[1.5, 2]])}, "xy")
    ...     Path(f"{folder}/a.txt").read_text()
    '1.5 2.0\n'
    """
    path = Path(path)
    _check_types(points)
    points = {escape(image): found for image, found in points.items()}
    known = choose_format(path, format)
    _check_requirements(path, points, known)
    into_folder = path.is_dir() or path.suffix.lower() not in known.suffixes
    if path.is_dir() and not known.file_name:
        raise FormatError(f"{path}: is a folder, but {known.name} is one file for all images; name a file")
    with _replace(path) as draft:
        if known.file_name and into_folder:
            draft.mkdir()
            for name, image in _name_files(points).items():
                known.write(draft / known.file_name(name), {image: points[image]})
        else:
            known.write(draft, points)


def write_map(
    path: str | Path, points: Mapping[str, Points], places: Mapping[str, "Georeference | None"]
) -> None:
    """Write or replace a file of points in map coordinates atomically. Needs the extra `geo`.

    Args:
        path: `.gpkg` writes a GeoPackage in the coordinate systems of the images, with the fields `image`,
            `score`, `pixel_x` and `pixel_y`. Any other extension writes GeoJSON in longitude and latitude
            (RFC 7946), which `read` converts back to pixels.
        points: image id -> Points.
        places: image id -> georeference.

    Raises:
        FormatError: if the file cannot be written, or an image has no georeference.
        ImageError: if a coordinate system cannot be converted to longitude and latitude.
    """
    path = Path(path)
    _check_types(points)
    points = {escape(image): found for image, found in points.items()}
    known = geopackage.require_places(points, {escape(image): place for image, place in places.items()})
    with _replace(path) as draft:
        if path.suffix.lower() == ".gpkg":
            geopackage.write(draft, points, known)
        else:
            positions = {image: known[image].to_longitude_latitude(points[image].xy) for image in points}
            documents.save(draft, geojson.build_feature_collection(points, positions))


def choose_format(path: str | Path, format: str | None = None) -> Format:
    """Choose the format in which `write` writes a file; `.json` means `json`.

    Raises:
        FormatError: if the format is unknown, or the extension is ambiguous or unknown.

    >>> choose_format("points.csv").name, choose_format("points.json").name
    ('csv', 'json')
    """
    if format is not None:
        return _find_format(format)
    suffix = Path(path).suffix.lower()
    found = [known for known in FORMATS.values() if suffix in known.suffixes]
    if len(found) > 1 and records.JSON in found:
        found = [records.JSON]
    if len(found) != 1:
        candidates = " or ".join(known.name for known in found) or "none has this extension"
        raise FormatError(f"{path}: ambiguous format ({candidates}); choose one of {_describe(FORMATS)}")
    return found[0]


def list_losses(points: Mapping[str, Points], format: str) -> list[str]:
    """Describe the data that a format of `FORMATS` cannot store, one line per kind.

    >>> list_losses({"a": Points([[1, 2]], scores=[0.5])}, "xy")
    ['xy does not store scores']
    """
    known = _find_format(format)
    _check_types(points)
    present: list[tuple[Field, str, bool]] = [
        ("scores", "scores", any(bool((found.scores != 1).any()) for found in points.values())),
        ("sizes", "boxes", any(len(found) and found.sizes is not None for found in points.values())),
        ("image_size", "image sizes", any(found.image_size is not None for found in points.values())),
        ("names", "folders and extensions of image names", any(plain_name(name) != name for name in points)),
    ]
    lines = [
        f"{known.name} does not store {data}"
        for field, data, is_present in present
        if is_present and field not in known.holds
    ]
    if known.whole_pixels and any(bool((found.xy % 1 != 0.5).any()) for found in points.values()):
        lines.append(f"{known.name} rounds points to whole pixels")
    return lines


@contextmanager
def _replace(path: Path) -> Iterator[Path]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as draft:
            yield draft
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be written ({error})") from error


def _check_types(points: object) -> None:
    if not isinstance(points, Mapping):
        raise TypeError(
            f"points: expected a mapping from image names to Points, found {type(points).__name__}; "
            'write one image as {"a.jpg": points}'
        )
    for image, found in points.items():
        if not isinstance(image, str) or not isinstance(found, Points):
            raise TypeError(
                f"points: expected a mapping from str to Points, found one from {type(image).__name__} to "
                f"{type(found).__name__}; the name of a path is path.name"
            )


def _check_requirements(path: Path, points: Mapping[str, Points], known: Format) -> None:
    for image, found in points.items():
        if len(found) and "sizes" in known.needs and found.sizes is None:
            raise FormatError(
                f"{path}: {known.name} needs a box for every point, image {image} has none; "
                "choose a format without boxes, such as coco-keypoints or cvat"
            )
        if len(found) and "image_size" in known.needs and found.image_size is None:
            raise FormatError(
                f"{path}: {known.name} needs the size of image {image}; pass --images to `convert`"
            )


def _name_files(images: Iterable[str]) -> dict[str, str]:
    """Return the plain name of each image -> the image; the names differ even if case is ignored."""
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    for image in images:
        name = plain_name(image)
        if name in ("", "..") or "\0" in name:
            raise ValueError(f"the image name {image!r} is not a valid file name; rename the image")
        if (other := taken.setdefault(name.casefold(), image)) != image:
            raise ValueError(f"{image} and {other} would be written to the same file; rename one of them")
        names[name] = image
    return names


def _find_format(name: str) -> Format:
    if name not in FORMATS:
        raise FormatError(f"{name}: unknown format; choose one of {_describe(FORMATS)}")
    return FORMATS[name]


def _list_files(folder: Path, known: Format | None) -> list[Path]:
    """List the point files in a folder, without hidden files and the class lists of labelling tools."""
    suffixes = {suffix for entry in ([known] if known else FORMATS.values()) for suffix in entry.suffixes}
    found = [path for path in list_regular_files(folder, suffixes) if path.name != yolo.CLASS_LIST]
    if not found:
        raise FormatError(f"{folder}: no point files in this folder")
    return sorted(found, key=lambda path: folders.natural_sort_key(path.name))


def _detect(files: list[Path], alone: bool, remedy: str) -> Format:
    """Detect the common format of files. Ignores empty files unless all are empty."""
    evidence = [file for file in files if len(files) == 1 or file.stat().st_size] or files[:1]
    candidates = {file: _list_candidates(file) for file in evidence}
    found = [known for known in FORMATS.values() if all(known in those for those in candidates.values())]
    if alone and len(found) > 1:
        found = [known for known in found if known.file_name]
    if len(found) == 1:
        return found[0]
    unclear = min(evidence, key=lambda file: len(candidates[file]))
    if not found and candidates[unclear]:
        several = dict.fromkeys(known.name for those in candidates.values() for known in those)
        raise FormatError(f"{unclear.parent}: files are in several formats ({', '.join(several)}); {remedy}")
    names = " or ".join(known.name for known in found) or "none matches"
    raise FormatError(f"{unclear}: cannot detect the format ({names}); {remedy}, one of {_describe(FORMATS)}")


def _list_candidates(path: Path) -> list[Format]:
    """List the formats a file may have, by its extension and, if ambiguous, its content."""
    found = [known for known in FORMATS.values() if path.suffix.lower() in known.suffixes]
    return [known for known in found if known.accepts(path)] if len(found) > 1 else found


def _describe(known: Mapping[str, Format]) -> str:
    return ", ".join(f"{name} ({'/'.join(entry.suffixes)})" for name, entry in known.items())
