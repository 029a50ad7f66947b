"""Reads the images of a request, within its limits."""

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
from crowdpoint.web.pool import Place
from crowdpoint.web.problems import ProblemError, closed

_log = logging.getLogger(__name__)

FIELD = "image"
"""The name of the form's field, which may come several times."""

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
"""The body in OpenAPI's words. It is read here and not by the framework, which would read it before it asks
for the key and for a place."""


class _Form(MultiPartParser):
    """Refuses a form whose last boundary is missing, which looks complete otherwise."""

    _complete = False

    def on_end(self) -> None:
        self._complete = True

    async def parse(self) -> FormData:
        self.stream = self._whole(self.stream)
        return await super().parse()

    async def _whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self._complete:
            raise MultiPartException("it is cut off, for its last boundary is missing; send all of it")


@asynccontextmanager
async def images(request: Request, limits: Limits, place: Place) -> AsyncIterator[list[UploadFile]]:
    """The uploaded files, at least one; small ones in memory, larger ones on disk until the request is done.

    Raises:
        ProblemError: 400, 408, 413, 415, 422 or 503, if the body is no whole form, the upload is too slow or
            too large, it is something else or without an image, or it cannot be stored.
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.request_bytes:
        raise _too_large(limits)
    stream = Request(request.scope, _bounded(request.receive, limits)).stream()
    # Names are UTF-8 (RFC 7578, Sec. 5.1.2): a `charset` would have any codec of Python read them.
    kind = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    form = _Form(kind, stream, max_files=limits.images, max_fields=limits.images)
    try:
        async with asyncio.timeout(limits.upload_seconds) as place.upload:
            data = await form.parse()
    except TimeoutError as error:
        if place.upload is None:
            detail = "all places are taken, and others wait; send fewer requests at a time"
            raise ProblemError(503, detail, {"Retry-After": "5"}) from error
        raise ProblemError(408, f"the upload took longer than {limits.upload_seconds:g} s") from error
    except ClientDisconnect as error:
        raise closed() from error
    except MultiPartException as error:
        if error.message.startswith("Too many files"):  # nothing else tells it from a form that is wrong
            detail = f"expected at most {limits.images} images in a request; send several requests"
            raise ProblemError(413, detail) from error
        raise ProblemError(400, f"the body is no valid form: {error.message}") from error
    except OSError as error:
        _log.error("an upload cannot be stored", exc_info=error)
        raise ProblemError(503, "the server cannot store the upload; its log says why") from error
    finally:
        place.upload = None
    try:
        yield _checked(data.multi_items())
    finally:
        await data.close()


def _boundary(kind: str) -> str:
    """The boundary that a content type names.

    Raises:
        ProblemError: 415 if it is another type, 400 if there is no boundary.
    """
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


def _checked(items: list[tuple[str, UploadFile | str]]) -> list[UploadFile]:
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


def _bounded(receive: Receive, limits: Limits) -> Receive:
    """Refuse a body that is too large, also where its length is not said or not true, or that stops."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        try:
            async with asyncio.timeout(limits.idle_seconds):
                message = await receive()
        except TimeoutError as error:
            raise ProblemError(408, f"nothing of the upload came for {limits.idle_seconds:g} s") from error
        seen += len(message.get("body", b""))
        if seen > limits.request_bytes:
            raise _too_large(limits)
        return message

    return bounded


def _too_large(limits: Limits) -> ProblemError:
    return ProblemError(
        413, f"the body has more than {limits.request_bytes} bytes; send smaller images or several requests"
    )
