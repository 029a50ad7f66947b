"""Prometheus metrics of the server."""

import logging
from collections.abc import Callable
from functools import partial
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crowdpoint.web import problems
from crowdpoint.web.problems import ProblemError
from crowdpoint.web.worker import JobResult

_log = logging.getLogger(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Metrics of one application, in a separate registry."""

    def __init__(self, unfinished: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        counter = partial(Counter, registry=self._registry)
        histogram = partial(Histogram, buckets=_SECONDS, registry=self._registry)
        explanation = "Waiting and active requests."
        gauge = Gauge("crowdpoint_unfinished_requests", explanation, registry=self._registry)
        gauge.set_function(unfinished)
        labels = ("method", "path", "status")
        self.requests = counter("crowdpoint_requests", "Answered requests.", labels)
        explanation = "Seconds from the request head to the end of the response."
        self.request_seconds = histogram("crowdpoint_request_seconds", explanation, ("path",))
        self._images = counter("crowdpoint_images", "Processed images.", ("model", "outcome"))
        explanation = "Seconds to decode and predict an image."
        self._image_seconds = histogram("crowdpoint_image_seconds", explanation, ("model",))

    def count_image(self, model: str, answer: JobResult) -> None:
        """Count a processed image."""
        self._images.labels(model, "predicted" if answer.record else "failed").inc()
        self._image_seconds.labels(model).observe(answer.seconds)

    def export(self) -> bytes:
        """Export all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class MetricsMiddleware:
    """ASGI middleware that counts requests, reports errors, and adds security headers to responses."""

    HEADERS = (
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (
            b"content-security-policy",
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
            b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    )
    """Security headers; the page loads no external resources."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        status: int | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self.HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if status is not None:  # too late for another response; uvicorn logs the error
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            problem = ProblemError(500, "internal server error; see the server's log")
            await problems.respond(problem)(scope, receive, send_with_headers)
        finally:
            path = getattr(scope.get("route"), "path", "other")  # bounds the number of labels
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, path, status or 500).inc()
            self._metrics.request_seconds.labels(path).observe(perf_counter() - start)
