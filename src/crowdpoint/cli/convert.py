"""`crowdpoint convert`: files of points from one format to another."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from crowdpoint import folders, formats
from crowdpoint.errors import ImageError
from crowdpoint.formats import image_names
from crowdpoint.images import IMAGE_SUFFIXES, read_size
from crowdpoint.points import Points

_log = logging.getLogger(__name__)


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A file of points, or a folder of them.")],
    destination: Annotated[
        Path,
        typer.Argument(
            metavar="DST", help="The file to write; a folder for formats with a file for each image."
        ),
    ],
    from_: Annotated[
        str | None, typer.Option("--from", help="Format of SRC; by its ending and content when left out.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Format of DST; by its ending when left out.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images, to read the sizes that SRC does not tell.")
    ] = None,
) -> None:
    """Convert files of points; what the new format cannot hold is said.

    If anything is wrong with SRC, nothing is written.
    """
    for name in (from_, to):
        if name is not None and name not in formats.FORMATS:
            raise typer.BadParameter(f"no format {name}; known are {', '.join(formats.FORMATS)}")
    target = formats.choose_format(destination, to)
    points = formats.read(source, from_)
    if images:
        points = _sized(points, images)
    formats.write(destination, points, target.name)
    for loss in formats.list_losses(points, target.name):
        _log.warning("warning: %s", loss)
    count = sum(map(len, points.values()))
    typer.echo(f"{len(points)} images, {count} points: {destination}")


def _sized(points: dict[str, Points], folder: Path) -> dict[str, Points]:
    """With the sizes of the images in `folder` and below."""
    files = [file for file in folder.rglob("*") if folders.is_listed(file.name, IMAGE_SUFFIXES)]
    photos = {file.relative_to(folder).as_posix(): file for file in sorted(files)}
    try:
        known = {name: photos[photo] for photo, name in image_names.match(photos, points).items()}
    except ValueError as error:
        raise ImageError(f"{folder}: {error}") from error
    for name, found in points.items():
        if not found.image_size and name not in known:
            raise ImageError(
                f"{folder}: no image {image_names.shorten(name)} in it, the nearest of {len(photos)} is "
                f"{image_names.find_nearest(name, photos)}; --images is to hold all"
            )
    return {
        name: found if found.image_size else replace(found, image_size=read_size(known[name]))
        for name, found in points.items()
    }
