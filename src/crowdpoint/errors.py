"""Exceptions that crowdpoint raises.

Every message names the file or argument, the value found, the value expected and the remedy, so that the
command line can print it unchanged.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CrowdpointError(Exception):
    """Base class of all crowdpoint exceptions."""


class ImageError(CrowdpointError):
    """An image cannot be read: missing, empty, truncated, too large or not an image."""


class ImageTooLargeError(ImageError):
    """An image has more pixels than the caller allows."""


class FormatError(CrowdpointError):
    """A point file cannot be read or written: wrong layout, wrong shape or a value out of range."""


class DatasetError(CrowdpointError):
    """A dataset folder does not have its authors' layout."""


class ConfigError(CrowdpointError):
    """A recipe, an override or a checkpoint's configuration is invalid."""


class ModelError(CrowdpointError):
    """A model name cannot be resolved, or a model file is invalid."""


class VideoError(CrowdpointError):
    """A video or a stream cannot be opened, read or written."""


class StorageError(CrowdpointError):
    """Results cannot be stored: the database is missing, the file is not writable or the folder is locked."""


class BatchError(CrowdpointError):
    """A batch cannot continue: its input or output is unreachable, or its processes do not start."""


class ProcessError(CrowdpointError):
    """A worker process died or cannot be started; the message gives its exit status."""


class TrainingError(CrowdpointError):
    """Training cannot continue, for example because the loss is not finite."""


class MissingExtraError(CrowdpointError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'crowdpoint[{extra}]'")
        self._parts = feature, extra

    def __reduce__(self) -> "tuple[type[MissingExtraError], tuple[str, str]]":
        return MissingExtraError, self._parts  # for pickling: the error crosses processes


@contextmanager
def wrap_write_errors(path: Path) -> Iterator[None]:
    """Convert OSErrors raised while writing to `path` to StorageErrors."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"{path}: cannot be written ({reason}); free some space or choose a writable folder"
        ) from error


@contextmanager
def requires(feature: str, extra: str) -> Iterator[None]:
    """Convert a failed import of a `feature`, which needs an `extra`, to a MissingExtraError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("crowdpoint"):
            raise
        raise MissingExtraError(feature, extra) from error


def ignore_metadata_warnings() -> None:
    """Ignore Pillow's warnings in this process: they are about metadata, and damage is an `ImageError`."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
