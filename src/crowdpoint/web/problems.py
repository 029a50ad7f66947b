"""Report every error to clients as an `application/problem+json` object (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from crowdpoint.web.schemas import HeatmapQuery, PredictQuery, Problem

MEDIA_TYPE = "application/problem+json"

DESCRIPTION = {
    "description": "A problem (RFC 9457)",
    "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
}
"""OpenAPI description of all errors."""

_SCHEMAS: dict[str, type[BaseModel]] = {"query": PredictQuery, "body": HeatmapQuery}
"""Part of a request -> its only schema that refuses unknown fields."""


class ProblemError(HTTPException):
    """Error response to a request. The `members` extend the object."""

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(status, detail, headers)
        self.members = members

    def to_document(self) -> dict[str, object]:
        """Convert to a JSON object, without a type other than its status (RFC 9457, Sec. 4.2.1)."""
        known = {"title": HTTPStatus(self.status_code).phrase, "status": self.status_code}
        return {"type": "about:blank", **known, "detail": self.detail, **self.members}


def create_disconnect() -> ProblemError:
    """Create the error of a disconnected client, which only the metrics record."""
    return ProblemError(400, "the client closed the connection")


def install(app: FastAPI) -> None:
    """Convert refusals of requests to problem objects. `MetricsMiddleware` converts all other errors."""
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)


def respond(problem: ProblemError) -> Response:
    """Create the response of a problem."""
    return JSONResponse(problem.to_document(), problem.status_code, problem.headers, MEDIA_TYPE)


def _handle_http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ProblemError):
        return respond(error)
    assert isinstance(error, HTTPException)  # the handler is installed for this class only
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:  # FastAPI's default, such as for 404 and 405
        detail = f"{request.method} {request.url.path}: {detail.lower()}; see /openapi.json"
    return respond(ProblemError(error.status_code, detail, dict(error.headers or {})))


def _handle_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # the handler is installed for this class only
    errors = [{"where": ".".join(map(str, e["loc"])), "detail": _explain(e)} for e in error.errors()]
    detail = "; ".join(f"{e['where']}: {e['detail']}" for e in errors)
    return respond(ProblemError(422, detail, errors=errors))


def _explain(error: Mapping[str, Any]) -> str:
    """Describe what was expected instead of an unknown or a missing field, or return pydantic's message."""
    place, field = error["loc"][0], error["loc"][-1]
    if error.get("type") == "extra_forbidden":
        return f"expected one of {', '.join(_SCHEMAS[place].model_fields)}, found {field!r}"
    if error.get("type") == "missing" and isinstance(field, str):
        return f"expected the field {field}"
    return str(error["msg"]).removeprefix("Value error, ")
