"""Errors as clients see them: every failure is one `application/problem+json` object (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from crowdpoint.web.schemas import Problem

MEDIA_TYPE = "application/problem+json"

DESCRIPTION = {
    "description": "A problem (RFC 9457)",
    "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
}
"""Every failure, in OpenAPI's words."""

_log = logging.getLogger(__name__)


class ProblemError(HTTPException):
    """A request that cannot be answered.

    Args:
        status: the HTTP status.
        detail: what was found and what was expected, for people.
        headers: more headers of the response.
        **members: more members of the object.
    """

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(status, detail, headers)
        self.members = members

    def document(self) -> dict[str, object]:
        """The object, ready for JSON."""
        return problem(self.status_code, self.detail, **self.members)


def problem(status: int, detail: str, **members: object) -> dict[str, object]:
    """A problem object whose type is its status alone (RFC 9457, Sec. 4.2.1)."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}


def closed() -> ProblemError:
    """What becomes of a request whose client has gone; only the log and the counters see it."""
    return ProblemError(400, "the client closed the connection")


def install(app: FastAPI) -> None:
    """Makes every failure of the application a problem object."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)


def _response(document: dict[str, Any], headers: Any = None) -> Response:
    return JSONResponse(document, document["status"], headers, MEDIA_TYPE)


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, ProblemError):
        return _response(error.document(), error.headers)
    assert isinstance(error, HTTPException)  # it is installed for nothing else
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:  # the framework's own, such as 404 and 405
        detail = f"{request.method} {request.url.path}: {detail.lower()}; see /openapi.json for what there is"
    return _response(problem(error.status_code, detail), error.headers)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # it is installed for nothing else
    errors = [{"where": ".".join(map(str, e["loc"])), "detail": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{e['where']}: {e['detail']}" for e in errors)
    return _response(problem(422, detail, errors=errors))


def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _response(problem(500, "the server failed at this request; its log says why"))
