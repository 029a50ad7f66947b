"""`crowdpoint convert`: convert point files to another format."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint import folders, formats
from crowdpoint.cli import options
from crowdpoint.errors import FormatError, ImageError
from crowdpoint.formats import image_names
from crowdpoint.formats.text import locate_errors
from crowdpoint.points import Points
from crowdpoint.rasters import read_size

_log = logging.getLogger(__name__)


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Point file, or a folder of them.")],
    destination: Annotated[
        Path,
        typer.Argument(metavar="DST", help="File to write; a folder for formats with one file per image."),
    ],
    from_: Annotated[
        str | None, typer.Option("--from", help="Format of SRC. [default: by suffix and content]")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Format of DST. [default: by suffix]")] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the images, to read sizes that SRC does not state.", exists=True, file_okay=False
        ),
    ] = None,
    classes: options.Classes = None,
) -> None:
    """Convert point files to another format, and warn about data that it cannot store.

    Nothing is written if SRC has a fault.
    """
    for name in (from_, to):
        if name is not None and name not in formats.FORMATS:
            raise typer.BadParameter(f"unknown format {name}; choose one of {', '.join(formats.FORMATS)}")
    target = formats.choose_format(destination, to)
    known = classes or formats.Classes()
    remedy = "choose with --from FORMAT"
    points = formats.read_part(source, from_, alone=False, classes=known, remedy=remedy)
    known.check(source)
    known.report(source, "--classes")
    if images:
        points = _add_sizes(points, source, images)
    formats.write(destination, points, target.name)
    for loss in formats.list_losses(points, target.name):
        _log.warning("warning: %s", loss)
    count = sum(map(len, points.values()))
    typer.echo(f"{len(points)} images, {count} points: {destination}")


def _add_sizes(points: dict[str, Points], source: Path, folder: Path) -> dict[str, Points]:
    files = folders.list_files(folder, folders.IMAGE_SUFFIXES, below=True)
    photos = {file.relative_to(folder).as_posix(): file for file in files}
    with locate_errors(folder, kind=ImageError):
        matches = image_names.match(photos, points)
    sizes = {name: read_size(photos[photo]) for photo, name in matches.items()}
    for name, found in points.items():
        if found.image_size and found.image_size != sizes.get(name, found.image_size):
            raise FormatError(
                f"{source}: image {image_names.shorten(name)}: states {found.image_size} pixels, but the "
                f"image in {folder} has {sizes[name]}"
            )
        if not found.image_size and name not in sizes:
            raise ImageError(
                f"{folder}: no image {image_names.shorten(name)}, the most similar of {len(photos)} is "
                f"{image_names.find_nearest(name, photos, matches)}; --images must contain all images"
            )
    return {
        name: found if found.image_size else replace(found, image_size=sizes[name])
        for name, found in points.items()
    }
