"""Receive the body of a request within the limits."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Slot
from crowdpoint.web.problems import ProblemError, create_disconnect
from crowdpoint.web.schemas import HeatmapQuery

_log = logging.getLogger(__name__)

FIELD = "image"
"""Name of the form field, which may be repeated."""

REQUEST_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "format": "binary"},
                        "description": "JPEG, PNG, WebP, BMP, GIF, TIFF, JPEG 2000, AVIF or HEIC files",
                    }
                },
            }
        }
    },
}
"""OpenAPI description of the body. FastAPI does not parse it, as it would before checking the key and
reserving a place."""

DOCUMENT_BYTES = 4 << 20
"""Largest JSON body, which is held in memory."""

DOCUMENT_BODY = {
    "required": True,
    "content": {"application/json": {"schema": HeatmapQuery.model_json_schema()}},
}
"""OpenAPI description of a JSON body. FastAPI does not parse it either."""


class _Form(MultiPartParser):
    """Parser that rejects truncated forms, whose last boundary is missing."""

    _complete = False

    def on_end(self) -> None:
        self._complete = True

    async def parse(self) -> FormData:
        self.stream = self._check_end(self.stream)
        return await super().parse()

    async def _check_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self._complete:
            raise MultiPartException("truncated: the last boundary is missing; send the complete form")


@asynccontextmanager
async def receive_images(request: Request, limits: Limits, place: Slot) -> AsyncIterator[list[UploadFile]]:
    """Receive the uploaded files, at least one, in memory or on disk, and delete them afterwards.

    Raises:
        ProblemError: 400 if the form is invalid or truncated, or the client disconnects, 408 if the upload is
            too slow, 413 if it is too large, 415 if it is not a form, 422 if it has no image, 503 if it
            cannot be stored, or lost its place.
    """
    boundary = _parse_boundary(request.headers.get("content-type", ""))
    stream = _open_stream(request, limits, limits.request_bytes)
    # Drop any `charset`, which would select any Python codec: names are UTF-8 (RFC 7578, Sec. 5.1.2).
    kind = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    form = _Form(kind, stream, max_files=limits.images, max_fields=limits.images)
    try:
        async with _time_upload(limits, place):
            data = await form.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):  # the only way to distinguish it from invalid forms
            detail = f"expected at most {limits.images} images in a request; send several requests"
            raise ProblemError(413, detail) from error
        raise ProblemError(400, f"the body is not a valid form: {error.message}") from error
    except OSError as error:
        _log.error("an upload cannot be stored", exc_info=error)
        raise ProblemError(503, "the server cannot store the upload; see its log") from error
    try:
        yield _check(data.multi_items())
    finally:
        await data.close()


async def receive_document(request: Request, limits: Limits, place: Slot) -> bytes:
    """Receive a JSON body in memory, with the problems 400, 408, 413 and 503 of `receive_images`."""
    stream = _open_stream(request, limits, min(limits.request_bytes, DOCUMENT_BYTES))
    async with _time_upload(limits, place):
        return b"".join([chunk async for chunk in stream])


@asynccontextmanager
async def _time_upload(limits: Limits, place: Slot) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(limits.upload_seconds) as place.upload:
            yield
    except TimeoutError as error:
        if place.upload is None:
            detail = "the server is full and other clients are waiting; send fewer requests at a time"
            raise ProblemError(503, detail, {"Retry-After": "5"}) from error
        raise ProblemError(408, f"the upload took longer than {limits.upload_seconds:g} s") from error
    except ClientDisconnect as error:
        raise create_disconnect() from error
    finally:
        place.upload = None


def _open_stream(request: Request, limits: Limits, most: int) -> AsyncGenerator[bytes, None]:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)
    return Request(request.scope, _limit(request.receive, limits, most)).stream()


def _parse_boundary(kind: str) -> str:
    media_type, parameters = parse_options_header(kind)
    if media_type != b"multipart/form-data":
        raise ProblemError(
            415,
            f"content-type: expected multipart/form-data, found {kind or 'none'}",
            {"Accept": "multipart/form-data"},
        )
    boundary = parameters.get(b"boundary", b"").decode("latin-1")
    if not re.fullmatch(r"[\w'()+,./:=? -]{1,70}", boundary, re.ASCII):
        raise ProblemError(
            400, f"content-type: expected a boundary of at most 70 characters (RFC 2046), found {boundary!r}"
        )
    return boundary


def _check(items: list[tuple[str, UploadFile | str]]) -> list[UploadFile]:
    found = []
    for name, value in items:
        if name != FIELD:
            raise ProblemError(422, f"expected files in the field {FIELD!r}, found a field {name!r}")
        if isinstance(value, str):
            raise ProblemError(422, f"{FIELD}: expected the bytes of a file with a file name, found text")
        found.append(value)
    if not found:
        raise ProblemError(422, f"expected at least one file in the field {FIELD!r}, found none")
    return found


def _limit(receive: Receive, limits: Limits, most: int) -> Receive:
    """Wrap `receive` to reject bodies that are too large, whatever their header states, or that stall."""
    seen = 0

    async def receive_limited() -> Message:
        nonlocal seen
        try:
            async with asyncio.timeout(limits.idle_seconds):
                message = await receive()
        except TimeoutError as error:
            raise ProblemError(408, f"no upload data for {limits.idle_seconds:g} s") from error
        seen += len(message.get("body", b""))
        if seen > most:
            raise _too_large(most)
        return message

    return receive_limited


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"the body has more than {most} bytes; send smaller images or several requests")
