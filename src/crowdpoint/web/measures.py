"""What Prometheus is told about the server."""

from collections.abc import Callable
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

from crowdpoint.web.worker import Answer

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Measures:
    """Counters of one application, with a registry of its own.

    Args:
        unfinished: tells the number of requests that hold a place.
    """

    def __init__(self, unfinished: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.requests = Counter(
            "crowdpoint_requests",
            "Requests that were answered.",
            ("method", "path", "status"),
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "crowdpoint_request_seconds",
            "From a request's head to the end of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._images = Counter(
            "crowdpoint_images", "Images that were worked on.", ("model", "outcome"), registry=self._registry
        )
        self._image_seconds = Histogram(
            "crowdpoint_image_seconds",
            "To decode an image and find its points.",
            ("model",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        gauge = Gauge(
            "crowdpoint_unfinished_requests",
            "Requests that wait or are worked on.",
            registry=self._registry,
        )
        gauge.set_function(unfinished)

    def image(self, model: str, answer: Answer) -> None:
        """Count the work on one image."""
        self._images.labels(model, "predicted" if answer.record else "failed").inc()
        self._image_seconds.labels(model).observe(answer.seconds)

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)


class Measured:
    """ASGI middleware that counts requests and sets the headers of every answer."""

    HEADERS = (
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (
            b"content-security-policy",
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
            b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    )
    """The page loads nothing from elsewhere, and a browser is to hold it to that."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self.HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            path = getattr(scope.get("route"), "path", "other")  # a label for each URL would never end
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._measures.requests.labels(method, path, status).inc()
            self._measures.request_seconds.labels(path).observe(perf_counter() - start)
