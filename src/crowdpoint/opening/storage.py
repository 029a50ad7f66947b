"""Files on this machine, of web servers, and in object stores through fsspec.

A location is a path of this machine, or a URL of any other protocol such as `s3://bucket/key`.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from crowdpoint.errors import ConfigError, ImageError, requires
from crowdpoint.outputs import replaced

_PUT_WHOLE = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "tos", "obs", "memory"}
)
"""Protocols of stores in which a file appears whole or not at all."""


def is_url(name: str | Path) -> bool:
    """Whether a user's name for an image is a URL; a `Path` never is."""
    return isinstance(name, str) and "://" in name


def is_web(location: str) -> bool:
    """Whether a web server is asked for it."""
    return location.lower().startswith(("http://", "https://"))


def located(name: str) -> str:
    """The location that a user's path or URL means; links of this machine are followed."""
    protocol, found, rest = name.partition("://")
    if not found or protocol in ("file", "local"):
        return os.path.realpath(rest if found else name)
    return name.rstrip("/")


def is_local(location: str) -> bool:
    """Whether it is a path of this machine."""
    return "://" not in location


def filesystem(location: str) -> Any:
    """The fsspec file system that a location is in.

    Raises:
        ConfigError: if the protocol is unknown, or its package is not installed.
        MissingExtraError: if fsspec itself is not installed.
    """
    with requires(f"reading {location}", "batch"):
        import fsspec
    if is_local(location):
        return fsspec.filesystem("file")
    protocol, _, rest = location.partition("://")
    try:
        # Of the whole location, fsspec would take "::" for a file within a file.
        return fsspec.url_to_fs(f"{protocol}://{rest.partition('/')[0]}")[0]
    except ImportError as error:
        raise ConfigError(
            f"{location}: {protocol}:// needs a package that is not installed: {error}"
        ) from error
    except Exception as error:  # each protocol has errors of its own
        raise ConfigError(f"{location}: {protocol}:// cannot be used: {error}") from error


def read(location: str) -> bytes:
    """The bytes of a file.

    Raises:
        ConfigError: as `filesystem`.
        ImageError: if it cannot be read, for whatever reason; the message does not name it.
    """
    if is_web(location):
        from crowdpoint.opening.download import download

        return download(location)
    store = filesystem(location)
    try:
        content: bytes = store.cat_file(location)
    except Exception as error:  # each protocol has errors of its own
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise ImageError(f"cannot be fetched ({reason})") from error
    return content


def write(location: str, content: bytes) -> None:
    """Writes a file, or replaces it, so that nobody ever sees a part of it.

    Raises:
        Exception: whatever the protocol raises.
    """
    if is_local(location):
        with replaced(Path(location), sync=True) as local:
            local.write_bytes(content)
        return
    store = filesystem(location)
    protocols = {store.protocol} if isinstance(store.protocol, str) else set(store.protocol)
    if protocols & _PUT_WHOLE:
        store.pipe_file(location, content)
        return
    folder, _, name = location.rpartition("/")
    draft = f"{folder}/.{name}.{secrets.token_hex(8)}.tmp"
    store.pipe_file(draft, content)
    store.mv(draft, location)


def make_folder(location: str) -> None:
    """Makes a folder and those above it, but no bucket.

    Raises:
        OSError: if it is on this machine and cannot be made.
    """
    store = filesystem(location)
    if is_local(location):
        store.makedirs(location, exist_ok=True)
        return
    for level in _levels(location):
        # Object stores have no folders, and some say so; the first file that is written tells for all.
        with suppress(Exception):
            store.mkdir(level, create_parents=False)


def _levels(location: str) -> Iterator[str]:
    """The folders below a URL's host or bucket, down to the location."""
    protocol, _, rest = location.partition("://")
    root, *names = rest.split("/")
    for count in range(1, len(names) + 1):
        yield f"{protocol}://{'/'.join((root, *names[:count]))}"
