"""Read and write files on this machine, on web servers and, through fsspec, in object stores.

A location is a local path or a URL such as `s3://bucket/key`.
"""

import os
import re
import secrets
import urllib.parse
from contextlib import suppress
from pathlib import Path
from typing import Any

from crowdpoint.errors import ConfigError, ImageError, requires
from crowdpoint.opening.download import download
from crowdpoint.outputs import write_atomically
from crowdpoint.redaction import redact

_PUT_WHOLE = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "tos", "obs", "memory"}
)
"""Protocols of stores whose writes are atomic."""


def is_url(name: str | Path) -> bool:
    """Check whether the name of an image is a URL; a `Path` never is."""
    return isinstance(name, str) and "://" in name


def is_web(location: str) -> bool:
    """Check whether a location is an http or https URL."""
    return location.lower().startswith(("http://", "https://"))


def extract_path(url: str) -> str:
    """Extract the path of a URL, without its first slash, as it is encoded there.

    Accepts any address, unlike `urllib.parse.urlsplit`.
    """
    return re.split(r"[?#]", url)[0].partition("://")[2].partition("/")[2]


def resolve_location(name: str) -> str:
    """Convert a user's path or URL to a location. Resolves local links."""
    protocol, separator, rest = name.partition("://")
    protocol = protocol.lower()
    if not separator or protocol in ("file", "local"):
        if protocol == "file" and rest.lower().startswith("localhost/"):
            rest = rest[len("localhost") :]
        if separator and not os.path.lexists(rest):  # a URL has spaces and others as %20
            rest = urllib.parse.unquote(rest)
        return os.path.realpath(rest if separator else name)
    return f"{protocol}://{rest.rstrip('/')}"


def is_local(location: str) -> bool:
    """Check whether a location is a local path."""
    return "://" not in location


def create_filesystem(location: str) -> Any:
    """Create the fsspec file system of a location.

    Raises:
        ConfigError: if the protocol is unknown, or its package is not installed.
        MissingExtraError: if fsspec itself is not installed.
    """
    with requires(f"reading {redact(location)}", "batch"):
        import fsspec
    if is_local(location):
        return fsspec.filesystem("file")
    protocol, _, rest = location.partition("://")
    try:
        # Pass the host only: fsspec parses "::" in a path as chained file systems.
        return fsspec.url_to_fs(f"{protocol}://{rest.partition('/')[0]}")[0]
    except Exception as error:  # each protocol has its own errors
        missing = isinstance(error, ImportError)
        reason = "needs a package that is not installed" if missing else "cannot be used"
        raise ConfigError(
            f"{redact(location)}: {protocol}:// {reason}: {redact(str(error), location)}"
        ) from error


def read(location: str) -> bytes:
    """Read a file.

    Raises:
        ConfigError: as in `create_filesystem`.
        ImageError: if the file cannot be read; the message does not contain its location.
    """
    if is_web(location):
        return download(location)
    store = create_filesystem(location)
    try:
        content: bytes = store.cat_file(location)
    except Exception as error:  # each protocol has its own errors
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise ImageError(f"download failed ({redact(reason, location)})") from error
    return content


def write(location: str, content: bytes) -> None:
    """Write or replace a file atomically."""
    if is_local(location):
        with write_atomically(Path(location), sync=True) as local:
            local.write_bytes(content)
        return
    store = create_filesystem(location)
    protocols = {store.protocol} if isinstance(store.protocol, str) else set(store.protocol)
    if protocols & _PUT_WHOLE:
        store.pipe_file(location, content)
        return
    folder, _, name = location.rpartition("/")
    draft = f"{folder}/.{name}.{secrets.token_hex(8)}.tmp"
    store.pipe_file(draft, content)
    store.mv(draft, location)


def make_folder(location: str) -> None:
    """Create a folder and its parents, but no bucket."""
    store = create_filesystem(location)
    if is_local(location):
        store.makedirs(location, exist_ok=True)
        return
    protocol, _, rest = location.partition("://")
    folder, *names = rest.split("/")
    for name in names:
        folder += f"/{name}"
        # Some object stores, which have no folders, raise here; writing the first file reports real errors.
        with suppress(Exception):
            store.mkdir(f"{protocol}://{folder}", create_parents=False)
