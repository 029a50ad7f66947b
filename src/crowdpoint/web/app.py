"""The application: what is at which address."""

import asyncio
import json
import logging
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import UploadFile
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from crowdpoint import images
from crowdpoint.errors import ConfigError, ImageError, ImageTooLargeError
from crowdpoint.formats.records import record
from crowdpoint.predict import Predictor
from crowdpoint.version import __version__
from crowdpoint.web import problems, schemas, uploads
from crowdpoint.web.limits import Limits
from crowdpoint.web.measures import Measured, Measures
from crowdpoint.web.pool import Pool
from crowdpoint.web.problems import ProblemError

PAGE = Path(__file__).parent / "page"

_log = logging.getLogger(__name__)


def create(
    predictors: Mapping[str, Predictor],
    *,
    workers: int,
    limits: Limits | None = None,
    api_key: str | None = None,
) -> FastAPI:
    """The application that serves models.

    Args:
        predictors: the models by their names, at least one; the first is the default.
        workers: images that are worked on at a time.
        limits: what is refused.
        api_key: what clients must send as `Authorization: Bearer KEY`; None lets everybody in.

    Raises:
        ValueError: if there is no model or `workers` is below 1.
        ConfigError: if the key has characters that a header cannot carry, or none.
    """
    if not predictors:
        raise ValueError("predictors: expected at least one model, found none")
    if api_key is not None and not re.fullmatch("[!-~]+", api_key):
        raise ConfigError(
            "the API key: expected letters, digits and signs of ASCII, without spaces; choose another"
        )
    service = Service(predictors, workers, limits or Limits())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.pool.close)

    # The framework's own pages of documentation load scripts from elsewhere, so they are off.
    app = FastAPI(
        title="crowdpoint",
        version=__version__,
        summary="Finds every person in a picture and says where each one is.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={"default": problems.DESCRIPTION},
    )
    problems.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=5)
    app.add_middleware(Measured, measures=service.measures)
    _add_api(app, service, [Depends(_key_check(api_key))] if api_key else [])
    _add_page(app)
    return app


class Service:
    """The models, and the way from a request to their answers."""

    def __init__(self, predictors: Mapping[str, Predictor], workers: int, limits: Limits) -> None:
        self.predictors = dict(predictors)
        self.limits = limits
        self.pool = Pool(workers, limits)
        self.measures = Measures(lambda: self.pool.unfinished)

    def models(self) -> dict[str, object]:
        """The body of `/v1/models`."""
        infos = {name: predictor.info for name, predictor in self.predictors.items()}
        members = ("method", "threshold", "training_data", "parameters")
        accepted = ("request_bytes", "pixels", "images")
        return {
            "models": [
                {"name": name} | {key: getattr(info, key) for key in members} for name, info in infos.items()
            ],
            "limits": {key: getattr(self.limits, key) for key in accepted},
        }

    async def predict(self, request: Request, query: schemas.PredictQuery) -> bytes:
        """The body of `/v1/predict`.

        Raises:
            ProblemError: if the request is refused, or no image of it can be predicted.
        """
        name = next(iter(self.predictors)) if query.model is None else query.model
        if name not in self.predictors:
            raise ProblemError(422, f"model: expected one of {', '.join(self.predictors)}, found {name!r}")
        with self.pool.place(_client(request)):
            async with uploads.images(request, self.limits) as files:
                jobs = [self._answer(request, file, name, query.threshold) for file in files]
                results = await asyncio.gather(*jobs)
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

        def job() -> bytes:
            with self.measures.image(model):
                return self._record(file, model, threshold)

        try:
            return await self.pool.run(job, request.is_disconnected)
        except ImageTooLargeError:
            most = f"more than {self.limits.pixels} pixels by its header; send a smaller one"
            return ProblemError(413, f"{file.filename}: {most}", image=file.filename)
        except ImageError as error:
            detail = str(error).removeprefix("image bytes: ")
            return ProblemError(422, f"{file.filename}: {detail}", image=file.filename)
        except ProblemError:
            raise
        except Exception as error:  # whatever one image does, the others are still answered
            _log.error("%s failed", file.filename, exc_info=error)
            broken = f"{file.filename}: the server failed at this image; its log says why"
            return ProblemError(500, broken, image=file.filename)

    def _record(self, file: UploadFile, model: str, threshold: float | None) -> bytes:
        """Runs in a thread of the pool: only there an image, or the objects of its points, are in memory."""
        picture = images.read(file.file.read(), pixel_limit=self.limits.pixels)
        points = self.predictors[model].predict(picture, threshold=threshold)
        return _json(record(file.filename or "", points) | {"model": model})


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
