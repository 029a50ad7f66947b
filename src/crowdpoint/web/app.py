"""The application: what is at which address."""

import asyncio
import json
import logging
import re
import secrets
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import UploadFile
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from crowdpoint.errors import ConfigError
from crowdpoint.redaction import redact
from crowdpoint.version import __version__
from crowdpoint.web import problems, schemas, uploads
from crowdpoint.web.measures import Measured, Measures
from crowdpoint.web.pool import Pool
from crowdpoint.web.problems import ProblemError
from crowdpoint.web.worker import Question

PAGE = Path(__file__).parent / "page"

_log = logging.getLogger(__name__)


def create(pool: Pool, *, api_key: str | None = None, allowed_hosts: Collection[str] = ()) -> FastAPI:
    """The application that serves models.

    Args:
        pool: runs the models; its processes run as long as the application does.
        api_key: what clients must send as `Authorization: Bearer KEY`; None lets everybody in.
        allowed_hosts: names and addresses by which clients may call the server, without a port; none allows
            all of them.

    Raises:
        ConfigError: if the key has characters that a header cannot carry, or none.
    """
    if api_key is not None and not re.fullmatch("[!-~]+", api_key):
        raise ConfigError(
            "the API key: expected letters, digits and signs of ASCII, without spaces; choose another"
        )
    service = Service(pool)
    # The framework's own pages of documentation load scripts from elsewhere, and its redirects lead to
    # whatever host a client names, so they are off.
    app = FastAPI(
        title="crowdpoint",
        version=__version__,
        summary="Finds every person in a picture and says where each one is.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(_host_check(allowed_hosts))] if allowed_hosts else [],
        responses={"default": problems.DESCRIPTION},
    )
    problems.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=5)
    app.add_middleware(Measured, measures=service.measures)
    _add_api(app, service, [Depends(_key_check(api_key))] if api_key else [])
    _add_page(app)
    return app


class Service:
    """The way from a request to its answer."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.measures = Measures(lambda: pool.unfinished)

    def models(self) -> dict[str, object]:
        """The body of `/v1/models`."""
        members = ("method", "threshold", "training_data", "parameters")
        accepted = ("request_bytes", "pixels", "images")
        return {
            "models": [
                {"name": name} | {key: getattr(info, key) for key in members}
                for name, info in self.pool.models.items()
            ],
            "limits": {key: getattr(self.pool.limits, key) for key in accepted},
        }

    async def predict(self, request: Request, query: schemas.PredictQuery) -> bytes:
        """The body of `/v1/predict`.

        Raises:
            ProblemError: if the request is refused, or no image of it can be predicted.
        """
        name = next(iter(self.pool.models)) if query.model is None else query.model
        if name not in self.pool.models:
            expected = ", ".join(self.pool.models)
            raise ProblemError(422, f"model: expected one of {expected}, found {name!r}")
        limits = self.pool.limits
        with self.pool.place(_client(request)) as place:
            async with uploads.images(request, limits, place) as files:
                jobs = [self._answer(request, file, name, query.threshold) for file in files]
                try:
                    async with asyncio.timeout(limits.request_seconds):
                        results = await asyncio.gather(*jobs)
                except TimeoutError as error:
                    raise self.pool.late() from error
        failures = [result for result in results if isinstance(result, ProblemError)]
        if len(failures) == len(results):
            first = failures[0]
            if len(failures) > 1:
                first.members["errors"] = [failure.document() for failure in failures]
            raise first
        parts = [_json(r.document()) if isinstance(r, ProblemError) else r for r in results]
        return b'{"results":[' + b",".join(parts) + b"]}"

    async def _answer(
        self, request: Request, file: UploadFile, model: str, threshold: float | None
    ) -> bytes | ProblemError:
        """The record of one image as JSON, or what is wrong with it."""
        name = file.filename or ""
        question = Question(name, model, threshold)
        try:
            answer = await self.pool.run(_client(request), file.file, question, request.is_disconnected)
        except ProblemError as error:
            return error
        self.measures.image(model, answer)
        if answer.log:
            _log.error("%s failed: %s", redact(name), answer.log)
        if answer.status != HTTPStatus.OK:
            return ProblemError(answer.status, f"{name}: {answer.detail}", image=name)
        return answer.record


def _add_api(app: FastAPI, service: Service, guards: list[Any]) -> None:
    @app.post(
        "/v1/predict",
        dependencies=guards,
        response_model=schemas.Predictions,
        openapi_extra={"requestBody": uploads.REQUEST_BODY},
        tags=["v1"],
    )
    async def predict(request: Request, query: Annotated[schemas.PredictQuery, Query()]) -> Response:
        """Find the points on one or several images.

        An image that cannot be predicted has a problem object in its place among the results. If that goes
        for all of them, the request fails with the first one's status.
        """
        return Response(await service.predict(request, query), media_type="application/json")

    @app.get("/v1/models", dependencies=guards, response_model=schemas.Models, tags=["v1"])
    async def models() -> Response:
        """The models that are served, the default first, and what the server accepts."""
        return JSONResponse(service.models())

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", response_model=schemas.Health, tags=["operation"])
    async def healthz() -> Response:
        """Whether the server is up. Its models are loaded before it is."""
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", dependencies=guards, response_class=Response, tags=["operation"])
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.measures.text(), media_type=CONTENT_TYPE_LATEST)


def _add_page(app: FastAPI) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE))


def _host_check(allowed: Collection[str]) -> Any:
    names = {host.lower().strip("[]") for host in allowed}

    async def check(request: Request) -> None:
        host = request.headers.get("host", "").lower()
        name = re.sub(r":\d*$", "", host) if "]" in host or host.count(":") == 1 else host
        if name.strip("[]") not in names:
            raise ProblemError(400, f"host: expected one of {', '.join(sorted(names))}, found {host!r}")

    return check


def _key_check(key: str) -> Any:
    bearer = HTTPBearer(auto_error=False)

    async def check(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        # Compared in a time that does not tell how much of it is right.
        if sent is None or not secrets.compare_digest(sent.credentials.encode(), key.encode()):
            found = "a wrong one" if sent else "none"
            raise ProblemError(
                401,
                f"expected a key as `Authorization: Bearer KEY`, found {found}",
                {"WWW-Authenticate": "Bearer"},
            )

    return check


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _client(request: Request) -> str:
    return request.client.host if request.client else ""
