"""Limits of a server, per request, per client and in total."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits, and the HTTP status if they are exceeded.

    Raises:
        ValueError: if a limit is not above 0.
    """

    request_bytes: int = 64 << 20
    """Bytes of a request body with all images (413)."""
    pixels: int = 25_000_000
    """Pixels of an image, checked on its header before decoding (413)."""
    images: int = 32
    """Images per request (413)."""
    requests: int = 256
    """Unfinished requests of all clients (503)."""
    client_requests: int | None = None
    """Unfinished requests per client (429); None for no limit."""
    worker_bytes: int = 8_000_000_000
    """Memory of an image in a worker, beyond the models (413 or 500)."""
    connections: int = 1024
    """Open connections of all clients; above, an idle one is closed."""
    head_seconds: float = 10.0
    """Seconds to receive a request head; then the connection is closed."""
    idle_seconds: float = 10.0
    """Seconds without progress in sending the body (408) or reading the response (connection closed)."""
    upload_seconds: float = 60.0
    """Seconds to receive an upload (408)."""
    request_seconds: float = 300.0
    """Seconds to process an uploaded request, including waiting (503); then its work is cancelled."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value <= 0:
                raise ValueError(f"{field.name}: expected a value above 0, found {value}")
