"""Reads the images of a request, within its limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from crowdpoint.web.limits import Limits
from crowdpoint.web.problems import ProblemError, closed

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
                        "description": "JPEG, PNG, WebP, BMP or TIFF files",
                    }
                },
            }
        }
    },
}
"""The body in OpenAPI's words. It is read here and not by the framework, which would read it before it asks
for the key and for a place."""


@asynccontextmanager
async def images(request: Request, limits: Limits) -> AsyncIterator[list[UploadFile]]:
    """The uploaded files, at least one; small ones in memory, larger ones on disk until the request is done.

    Raises:
        ProblemError: 408, 413, 415 or 422, if the upload is too slow, too large, no form or without an image.
    """
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise ProblemError(
            415,
            f"content-type: expected multipart/form-data, found {kind or 'none'}",
            {"Accept": "multipart/form-data"},
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.request_bytes:
        raise _too_large(limits)
    counted = Request(request.scope, _counted(request.receive, limits))
    try:
        async with asyncio.timeout(limits.upload_seconds):
            form = await counted.form(max_files=limits.images, max_fields=limits.images)
    except TimeoutError as error:
        raise ProblemError(408, f"the upload took longer than {limits.upload_seconds:g} s") from error
    except ClientDisconnect as error:
        raise closed() from error
    except HTTPException as error:
        if error.detail.startswith("Too many files"):  # nothing else tells it from a form that is wrong
            detail = f"expected at most {limits.images} images in a request; send several requests"
            raise ProblemError(413, detail) from error
        raise
    try:
        yield _checked(form.multi_items())
    finally:
        await form.close()


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


def _counted(receive: Receive, limits: Limits) -> Receive:
    """Refuses a body as soon as it is too large, also where its length was not said or not true."""
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limits.request_bytes:
            raise _too_large(limits)
        return message

    return counting


def _too_large(limits: Limits) -> ProblemError:
    return ProblemError(
        413, f"the body has more than {limits.request_bytes} bytes; send smaller images or several requests"
    )
