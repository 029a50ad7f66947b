"""How much one server takes on: of one request, of one client, and of all together."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused, and with which status.

    Raises:
        ValueError: if a limit is not above 0.
    """

    request_bytes: int = 64 << 20
    """Bytes of a request's body, all of its images together; more is refused with 413."""
    pixels: int = 25_000_000
    """Pixels of an image by its header, before it is decoded; more is refused with 413."""
    images: int = 32
    """Images in one request; more are refused with 413."""
    requests: int = 256
    """Unfinished requests of all clients; more are refused with 503."""
    client_requests: int | None = None
    """Unfinished requests of one client; more are refused with 429. None for no such limit."""
    connections: int = 1024
    """Open connections of all clients; beyond them, one that has not sent a whole head is closed."""
    head_seconds: float = 10.0
    """How long the head of a request may take; the connection is closed then."""
    idle_seconds: float = 10.0
    """How long a client may neither send its body nor read its answer; 408, or the connection is closed."""
    upload_seconds: float = 60.0
    """How long an upload may take; slower ones are given up with 408."""
    request_seconds: float = 300.0
    """How long an uploaded request may wait and be worked on; 503 then, and the work stops."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value <= 0:
                raise ValueError(f"{field.name}: expected a value above 0, found {value}")
