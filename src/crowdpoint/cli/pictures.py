"""Draw the pictures of `crowdpoint predict --save`, some of them with annotated points."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import typer

from crowdpoint import draw, formats, outputs
from crowdpoint.cli.results import Result, ZoneResult
from crowdpoint.cli.sources import ImageLocation
from crowdpoint.errors import FormatError, ImageError
from crowdpoint.estimate import Estimate, require_points
from crowdpoint.formats import image_names
from crowdpoint.formats.text import locate_errors
from crowdpoint.methods import ReferencePoints
from crowdpoint.opening import OpenedImage
from crowdpoint.points import Picture, Points
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.predict.predictor import Inspection

_log = logging.getLogger(__name__)

PICTURE_SIDE = 6144
"""Maximum width and height of a picture in pixels; larger images are shrunk."""


class GroundTruth:
    """Annotated points of the images of these names, read from a file or a folder of files."""

    def __init__(self, path: Path, images: Iterable[str], classes: formats.Classes | None = None) -> None:
        self._path = path
        classes = classes or formats.Classes()
        self._points = formats.read(path, classes=classes)
        classes.report(path, "--classes")
        with locate_errors(path):
            self._known = image_names.match(images, self._points)
        if not self._known:
            listed = ", ".join(list(self._points)[:3]) + ", ..." * (len(self._points) > 3)
            reason = "names none of these images, so that no panel has ground truth"
            _log.warning("--gt %s (it has %s) %s", path, listed, reason)

    def find(self, source: ImageLocation, image_size: tuple[int, int]) -> Points | None:
        """Find the points of an image of (width, height) pixels; None if it is not annotated."""
        if source.name not in self._known:
            return None
        points = self._points[self._known[source.name]]
        if points.image_size not in (None, image_size):
            raise FormatError(
                f"{self._path}: is about an image {source.name} of {points.image_size} pixels, "
                f"but {source.shown} has {image_size}"
            )
        return replace(points, image_size=image_size)


class Pictures:
    """Pictures of every image of a run, of one or several kinds of `--save`: `out`/kind/`stem`.jpg.

    The panel shows the annotated points, `truth`.
    """

    def __init__(self, out: Path, kinds: Iterable[str], truth: GroundTruth | None, info: ModelInfo) -> None:
        self._out, self._kinds, self._truth, self._info = out, tuple(kinds), truth, info
        self.inspect = "panel" in self._kinds
        """Whether a picture shows the predicted map."""
        self.proposals = "proposals" in self._kinds
        """Whether a picture shows the proposals at the image's own scale."""
        if self.proposals and self._find_reference((1, 1)) is None:
            raise typer.BadParameter(
                f"--save proposals: expected a model with proposals, such as P2PNet's, {info.name} is "
                f"{info.method.name}"
            )

    def check(self, image: OpenedImage) -> None:
        """Refuse an image that is too large for what the pictures show of the network."""
        if (self.inspect or self.proposals) and not image.in_memory and max(image.size) > PICTURE_SIDE:
            width, height = image.size
            raise ImageError(
                f"{image.name}: {width}x{height} pixels are too many for a panel or proposals, which "
                f"show images of up to {PICTURE_SIDE} pixels a side; choose --save points,overlay,heatmap"
            )

    def write(
        self, result: Result, image: OpenedImage, seen: Inspection | None, proposals: Points | None
    ) -> None:
        """Write the pictures of one image, which has passed `check`.

        Only a panel shows an estimate, and only the overlay zones. Needs the network's output if `inspect`,
        and all candidates at a scale of 1 if `proposals`.
        """
        photo = image.thumbnail(PICTURE_SIDE)
        height, width, _ = photo.shape
        scale = width / image.size[0], height / image.size[1], (width, height)

        def points() -> Points:
            return require_points(result.points, self._info.name).scale(*scale)

        for kind in self._kinds:
            if kind == "panel" and seen:
                picture = self._draw_panel(result, image.thumbnail(max(image.size)), seen)
            elif (
                kind == "proposals"
                and proposals is not None
                and (reference := self._find_reference(image.size))
            ):
                whole = image.thumbnail(max(image.size))
                picture = draw.proposal_panel(whole, proposals, reference.stride, reference.xy)
            elif kind == "heatmap":
                picture = draw.heatmap(photo, points())
            elif kind == "blur":
                picture = draw.blur(photo, points())
            else:
                areas = _place_areas(result.zoned, (width, height)) if result.zoned else []
                picture = draw.overlay(photo, points(), areas)
            bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR, dst=picture)  # in place: it can be large
            _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])
            outputs.write(self._out / kind / f"{result.source.stem}.jpg", encoded.tobytes())

    def _find_reference(self, image_size: tuple[int, int]) -> ReferencePoints | None:
        return self._info.method.reference_points(self._info.config, image_size)

    def _draw_panel(self, result: Result, image: Picture, seen: Inspection) -> Picture:
        truth = self._truth.find(result.source, (image.shape[1], image.shape[0])) if self._truth else None
        if isinstance(result.points, Estimate) and seen.map is not None:
            return draw.density_panel(image, len(result.points), seen.map, truth)
        points = require_points(result.points, self._info.name)
        if seen.map is None:
            return draw.point_panel(image, points, truth)
        true_map = None if truth is None else self._info.method.true_map(self._info.config, truth)
        return draw.map_panel(image, points, seen.map, truth, true_map)


def _place_areas(zoned: ZoneResult, size: tuple[int, int]) -> list[draw.Area]:
    zones = zoned.zones.fit(size).zones
    return [draw.Area(z.polygon, z.name, zoned.counts[z.name], zoned.per_m2[z.name]) for z in zones]
