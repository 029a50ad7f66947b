"""`crowdpoint convert`: files of points from one format to another."""

from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crowdpoint.points import Points


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
    from crowdpoint import formats

    for name in (from_, to):
        if name is not None and name not in formats.FORMATS:
            raise typer.BadParameter(f"no format {name}; known are {', '.join(formats.FORMATS)}")
    target = formats.to_write(destination, to)
    points = formats.read(source, from_)
    if images:
        points = {image: _sized(image, found, images) for image, found in points.items()}
    formats.write(destination, points, target.name)
    for loss in formats.losses(points, target.name):
        typer.echo(f"crowdpoint: warning: {loss}", err=True)
    count = sum(map(len, points.values()))
    typer.echo(f"{len(points)} images, {count} points: {destination}")


def _sized(name: str, points: "Points", folder: Path) -> "Points":
    """With the size of the image of this name, with or without its ending, in `folder`."""
    from crowdpoint.errors import ImageError
    from crowdpoint.images import IMAGE_SUFFIXES, read_size

    if points.image_size:
        return points
    endings = ["", *(ending for suffix in sorted(IMAGE_SUFFIXES) for ending in (suffix, suffix.upper()))]
    for place in (folder / name, folder / PurePath(name).name):
        for ending in endings:
            image = place.with_name(place.name + ending)
            if image.is_file():
                return replace(points, image_size=read_size(image))
    raise ImageError(f"{folder}: no image {name} in it, with or without an ending; --images is to hold all")
