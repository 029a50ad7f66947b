"""Files of points, in every format that crowdpoint reads and writes.

Each format is one `Format` in a small module; adding one is writing that module and listing it here.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from crowdpoint import folders
from crowdpoint.errors import FormatError
from crowdpoint.formats import (
    coco,
    cvat,
    documents,
    geojson,
    geopackage,
    label_studio,
    mat,
    nwpu,
    p2pnet,
    records,
    table,
    voc,
    yolo,
)
from crowdpoint.formats.format import Format, Part
from crowdpoint.formats.image_names import plain_name
from crowdpoint.formats.text import reading
from crowdpoint.names import escape
from crowdpoint.outputs import replaced
from crowdpoint.points import Points
from crowdpoint.rasters import Place

__all__ = ["FORMATS", "Format", "losses", "read", "to_write", "write", "write_map"]

FORMATS = {
    format.name: format
    for format in (
        table.CSV,
        records.JSON,
        geojson.GEOJSON,
        coco.KEYPOINTS,
        coco.BOXES,
        label_studio.LABEL_STUDIO,
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
"""The formats by name."""

_WORDS: dict[Part, str] = {
    "scores": "scores",
    "sizes": "boxes",
    "image_size": "the images' sizes",
    "names": "the folders and endings of image names",
}


def read(path: str | Path, format: str | None = None, *, alone: bool = False) -> dict[str, Points]:
    """Reads points as image id -> Points, ids as the file has them and in its order.

    Args:
        path: a file, or a folder whose files of points are read in natural order (IMG_2 before IMG_10).
        format: one of `FORMATS`; when None, by the file's ending and, where that is shared, its content.
        alone: whether a file is known to be about one image only; where several formats fit, one with a
            file for each image is taken.

    Raises:
        FormatError: if the format is unknown or cannot be told, or a file does not fit it.
    """
    path = Path(path)
    known = None if format is None else _named(format)
    if not path.is_dir():
        return (known or _guess([path], alone)).read(path)
    files = _files(path, known)
    known = known or _guess(files, alone)
    points: dict[str, Points] = {}
    for file in files:
        for image, found in known.read(file).items():
            if image in points:
                raise FormatError(f"{file}: image {image} is in another file of the folder, too")
            points[image] = found
    return points


def write(path: str | Path, points: Mapping[str, Points], format: str | None = None) -> None:
    """Writes image id -> Points to a file, replacing it if there is one, or not at all.

    Args:
        path: the file, in a folder that exists; of formats with one image a file also a folder, to get
            a file for each image.
        points: image id -> Points; `losses` says what of them the format cannot hold.
        format: one of `FORMATS`; by the file's ending when None.

    Raises:
        FormatError: if the format is unknown, or the points cannot be written in it.
    """
    path = Path(path)
    points = {escape(image): found for image, found in points.items()}
    known = to_write(path, format)
    _require(path, points, known)
    into_folder = path.is_dir() or path.suffix.lower() not in known.suffixes
    try:
        with replaced(path) as draft:
            if known.file_name and into_folder:
                _write_folder(draft, points, known.write, known.file_name)
            else:
                known.write(draft, points)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be written ({error})") from error


def write_map(path: str | Path, points: Mapping[str, Points], places: Mapping[str, Place]) -> None:
    """Writes image id -> Points in map coordinates, replacing the file if there is one, or not at all.

    Args:
        path: `.gpkg` for a GeoPackage in the images' own coordinate systems, with the fields `image`,
            `score`, `pixel_x` and `pixel_y`; anything else is GeoJSON in longitude and latitude (RFC 7946),
            which `read` reads as pixels again.
        points: image id -> Points.
        places: image id -> where it lies on the map. Needs the extra `geo`.

    Raises:
        FormatError: if the file cannot be written.
        ImageError: if longitude and latitude are not known for a coordinate system.
    """
    path = Path(path)
    points = {escape(image): found for image, found in points.items()}
    places = {escape(image): place for image, place in places.items()}
    try:
        with replaced(path) as draft:
            if path.suffix.lower() == ".gpkg":
                geopackage.write(draft, points, places)
            else:
                positions = {image: places[image].longitude_latitude(points[image].xy) for image in points}
                documents.save(draft, geojson.collection(points, positions))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be written ({error})") from error


def to_write(path: str | Path, format: str | None = None) -> Format:
    """The format that `write` takes for this path; the ending `.json` stands for `json`.

    Raises:
        FormatError: if it is unknown or cannot be told.
    """
    if format is not None:
        return _named(format)
    suffix = Path(path).suffix.lower()
    found = [known for known in FORMATS.values() if suffix in known.suffixes]
    if len(found) > 1 and records.JSON in found:
        found = [records.JSON]
    if len(found) != 1:
        could_be = " or ".join(known.name for known in found) or "none has this ending"
        raise FormatError(
            f"{path}: cannot tell the format to write ({could_be}); choose one of {_list(FORMATS)}"
        )
    return found[0]


def losses(points: Mapping[str, Points], format: str) -> list[str]:
    """What of these points a format of `FORMATS` cannot hold, in a line for each kind."""
    known = _named(format)
    present: dict[Part, bool] = {
        "scores": any(bool((found.scores != 1).any()) for found in points.values()),
        "sizes": any(found.sizes is not None for found in points.values()),
        "image_size": any(found.image_size is not None for found in points.values()),
        "names": any(plain_name(image) != image for image in points),
    }
    lines = [
        f"{known.name} does not keep {_WORDS[part]}"
        for part, there in present.items()
        if there and part not in known.holds
    ]
    if known.whole_pixels and any(bool((found.xy % 1 != 0.5).any()) for found in points.values()):
        lines.append(f"{known.name} keeps only the pixel that a point is in")
    return lines


def _require(path: Path, points: Mapping[str, Points], known: Format) -> None:
    for image, found in points.items():
        if len(found) and "sizes" in known.needs and found.sizes is None:
            raise FormatError(
                f"{path}: {known.name} needs a box for every point, image {image} has none; "
                "choose a format of points, such as coco-keypoints or cvat"
            )
        if len(found) and "image_size" in known.needs and found.image_size is None:
            raise FormatError(
                f"{path}: {known.name} needs the size of image {image}; `convert` reads it with --images"
            )


def _write_folder(
    folder: Path,
    points: Mapping[str, Points],
    write_file: Callable[[Path, Mapping[str, Points]], None],
    file_name: Callable[[str], str],
) -> None:
    folder.mkdir()
    taken: dict[str, str] = {}
    for image, found in points.items():
        name = plain_name(image)
        if name in ("", "..") or "\0" in name:
            raise ValueError(f"the image's name {image!r} cannot be that of a file; rename it")
        if (other := taken.setdefault(name.casefold(), image)) != image:
            raise ValueError(f"{image} and {other} would share a file; rename one of them")
        write_file(folder / file_name(name), {image: found})


def _named(name: str) -> Format:
    if name not in FORMATS:
        raise FormatError(f"{name}: no such format; known are {_list(FORMATS)}")
    return FORMATS[name]


def _files(folder: Path, known: Format | None) -> list[Path]:
    """The files of points in a folder, without hidden ones and labelling tools' list of classes."""
    suffixes = {suffix for entry in ([known] if known else FORMATS.values()) for suffix in entry.suffixes}
    with reading(folder):
        found = [path for path in folders.files_in(folder, suffixes) if path.name != "classes.txt"]
    if not found:
        raise FormatError(f"{folder}: no files of points in this folder")
    return sorted(found, key=lambda path: folders.natural(path.name))


def _guess(files: list[Path], alone: bool) -> Format:
    """The one format that all files have; an empty file tells nothing unless all are empty."""
    telling = [file for file in files if len(files) == 1 or file.stat().st_size] or files[:1]
    fitting = {file: _fitting(file) for file in telling}
    found = [known for known in FORMATS.values() if all(known in those for those in fitting.values())]
    if alone and len(found) > 1:
        found = [known for known in found if known.file_name]
    if len(found) == 1:
        return found[0]
    unclear = min(telling, key=lambda file: len(fitting[file]))
    if not found and fitting[unclear]:
        several = dict.fromkeys(known.name for those in fitting.values() for known in those)
        raise FormatError(
            f"{unclear.parent}: its files are in several formats ({', '.join(several)}); name one of them"
        )
    could_be = " or ".join(known.name for known in found) or "none of them"
    raise FormatError(
        f"{unclear}: cannot tell its format ({could_be}); name one, with --from or --format: {_list(FORMATS)}"
    )


def _fitting(path: Path) -> list[Format]:
    """The formats that a file may be in, by its ending and, where that is shared, its content."""
    found = [known for known in FORMATS.values() if path.suffix.lower() in known.suffixes]
    return [known for known in found if known.accepts(path)] if len(found) > 1 else found


def _list(known: Mapping[str, Format]) -> str:
    return ", ".join(f"{name} ({'/'.join(entry.suffixes)})" for name, entry in known.items())
