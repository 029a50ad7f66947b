"""The FastAPI application and its routes."""

import asyncio
import json
import logging
import re
import secrets
from collections import Counter
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import UploadFile
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from crowdpoint.errors import ConfigError
from crowdpoint.predict.predictor import AUTO, Scale
from crowdpoint.redaction import redact
from crowdpoint.version import __version__
from crowdpoint.web import heat, problems, schemas, uploads
from crowdpoint.web.hosts import HostMiddleware, parse_host
from crowdpoint.web.metrics import Metrics, MetricsMiddleware
from crowdpoint.web.pool import Pool
from crowdpoint.web.problems import ProblemError
from crowdpoint.web.worker import Job

PAGE = Path(__file__).parent / "page"

_log = logging.getLogger(__name__)


def create(
    pool: Pool,
    *,
    scale: Scale = AUTO,
    max_side: int | None = None,
    api_key: str | None = None,
    allowed_hosts: Collection[str] = (),
) -> FastAPI:
    """Create the application.

    Args:
        pool: worker pool, which must run as long as the application.
        scale: working scale with which its models were loaded.
        max_side: maximum side with which they were loaded.
        api_key: key that clients must send as `Authorization: Bearer KEY`; None disables authentication.
        allowed_hosts: accepted host names and addresses in requests, without port; empty accepts all.

    Raises:
        ConfigError: if the key is empty or contains characters that are not allowed in headers, or an allowed
            host is neither a host name nor an address.
    """
    if api_key is not None and not re.fullmatch("[!-~]+", api_key):
        raise ConfigError("the API key: expected printable ASCII without spaces; choose another key")
    service = Service(pool, scale, max_side)
    # Disable FastAPI's documentation pages, which load external scripts, and its redirects, which go to any
    # host that a client names.
    app = FastAPI(
        title="crowdpoint",
        version=__version__,
        summary="Locate and count every person in an image.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": problems.DESCRIPTION},
    )
    problems.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=5)
    if allowed_hosts:
        app.add_middleware(HostMiddleware, names={parse_host(host) for host in allowed_hosts})
    # The last one is the outermost: it sees every response.
    app.add_middleware(MetricsMiddleware, metrics=service.metrics)
    _add_api(app, service, [Depends(_create_key_check(api_key))] if api_key else [])
    _add_page(app)
    return app


class Service:
    """Request handlers of the API. Clients see their docstrings, in its description."""

    def __init__(self, pool: Pool, scale: Scale, max_side: int | None) -> None:
        self.pool = pool
        self._scale = scale
        self._max_side = max_side
        self._drawing = asyncio.Semaphore()  # a heat map at a time
        self.metrics = Metrics(lambda: pool.unfinished)

    async def predict(self, request: Request, query: Annotated[schemas.PredictQuery, Query()]) -> Response:
        """Predict the points of one or several images.

        The result of an image that cannot be predicted is a problem object. If all images fail, the request
        fails with the status of the first one.
        """
        _check_repeats(request)
        name = next(iter(self.pool.models)) if query.model is None else query.model
        if name not in self.pool.models:
            expected = ", ".join(self.pool.models)
            raise ProblemError(422, f"model: expected one of {expected}, found {name!r}")
        with self.pool.reserve(_get_client(request)) as place:
            async with uploads.receive_images(request, self.pool.limits, place) as files:
                jobs = [self._answer(request, file, name, query) for file in files]
                async with self.pool.limit_time():
                    results = await asyncio.gather(*jobs)
        failures = [result for result in results if isinstance(result, ProblemError)]
        if len(failures) == len(results):
            first = failures[0]
            if len(failures) > 1:
                first.members["errors"] = [failure.to_document() for failure in failures]
            raise first
        compact: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
        parts = [
            json.dumps(one.to_document(), **compact).encode() if isinstance(one, ProblemError) else one
            for one in results
        ]
        return Response(b'{"results":[' + b",".join(parts) + b"]}", media_type="application/json")

    async def draw_heatmap(self, request: Request) -> Response:
        """Draw the density of points, as `crowdpoint predict --save heatmap` does."""
        with self.pool.reserve(_get_client(request)) as place:
            body = await uploads.receive_document(request, self.pool.limits, place)
            async with self.pool.limit_time(), self._drawing:
                drawn = await asyncio.to_thread(heat.draw, body)
        return Response(drawn, media_type="application/json")

    async def list_models(self) -> Response:
        """List the models, the default first, and the limits of the server."""
        members = ("threshold", "training_data", "parameters")
        accepted = ("request_bytes", "pixels", "images")
        models = [
            {"name": name, "method": info.config.method} | {key: getattr(info, key) for key in members}
            for name, info in self.pool.models.items()
        ]
        limits = {key: getattr(self.pool.limits, key) for key in accepted}
        return JSONResponse({"models": models, "scale": self._scale, "limits": limits})

    async def check_health(self) -> Response:
        """Check that the server is up. Models are loaded before it starts."""
        return JSONResponse({"status": "ok"})

    async def export_metrics(self) -> Response:
        """Export metrics in Prometheus format."""
        return Response(self.metrics.export(), media_type=CONTENT_TYPE_LATEST)

    async def _answer(
        self, request: Request, file: UploadFile, model: str, query: schemas.PredictQuery
    ) -> bytes | ProblemError:
        name = file.filename or ""
        scale = self._scale if query.scale is None else query.scale
        question = Job(name, model, query.threshold, scale, self._max_side)
        try:
            answer = await self.pool.run(_get_client(request), file.file, question, request.is_disconnected)
        except ProblemError as error:
            return error
        self.metrics.count_image(model, answer)
        if answer.log:
            _log.error("%s failed: %s", redact(name), answer.log)
        if answer.status != HTTPStatus.OK:
            return ProblemError(answer.status, f"{name}: {answer.detail}", image=name)
        return answer.record


def _add_api(app: FastAPI, service: Service, guards: list[Any]) -> None:
    guarded: dict[str, Any] = {"dependencies": guards, "tags": ["v1"]}
    app.post(
        "/v1/predict",
        name="predict",
        response_model=schemas.Predictions,
        openapi_extra={"requestBody": uploads.REQUEST_BODY},
        **guarded,
    )(service.predict)
    app.post(
        "/v1/heatmap",
        name="heatmap",
        response_model=schemas.Heatmap,
        openapi_extra={"requestBody": uploads.DOCUMENT_BODY},
        **guarded,
    )(service.draw_heatmap)
    app.get("/v1/models", name="models", response_model=schemas.Models, **guarded)(service.list_models)
    health: dict[str, Any] = {"name": "healthz", "response_model": schemas.Health, "tags": ["operation"]}
    app.get("/healthz", **health)(service.check_health)
    app.head("/healthz", include_in_schema=False)(service.check_health)
    metrics: dict[str, Any] = {"name": "metrics", "response_class": Response, "tags": ["operation"]}
    app.get("/metrics", dependencies=guards, **metrics)(service.export_metrics)


def _add_page(app: FastAPI) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", _PageFiles(directory=PAGE))


class _PageFiles(StaticFiles):
    """Files that browsers revalidate, so that modules of two versions never meet."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _create_key_check(key: str) -> Any:
    bearer = HTTPBearer(auto_error=False)

    async def check(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        # Compare in constant time, to reveal nothing about the key.
        if sent is None or not secrets.compare_digest(sent.credentials.encode(), key.encode()):
            found = "a wrong key" if sent else "none"
            raise ProblemError(
                401,
                f"expected a key as `Authorization: Bearer KEY`, found {found}",
                {"WWW-Authenticate": "Bearer"},
            )

    return check


def _check_repeats(request: Request) -> None:
    counts = Counter(name for name, _ in request.query_params.multi_items())
    errors = [
        {"loc": ("query", name), "msg": f"expected one value, found {count}"}
        for name, count in counts.items()
        if count > 1
    ]
    if errors:
        raise RequestValidationError(errors)


def _get_client(request: Request) -> str:
    return request.client.host if request.client else ""
