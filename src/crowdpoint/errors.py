"""The errors crowdpoint raises on purpose.

Every message names the file or argument, what was found, what was expected and how to mend it, so
that the command line can print it as it stands.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CrowdpointError(Exception):
    """Base of every error that crowdpoint raises on purpose."""


class ImageError(CrowdpointError):
    """An image cannot be read: missing, empty, truncated, too large or not an image."""


class ImageTooLargeError(ImageError):
    """An image has more pixels than the caller allows."""


class FormatError(CrowdpointError):
    """A file of points cannot be read or written: wrong layout, wrong shape or a value out of range."""


class DatasetError(CrowdpointError):
    """A dataset folder lacks a part that its authors' layout has."""


class ConfigError(CrowdpointError):
    """A recipe, an override or a checkpoint's configuration is invalid."""


class ModelError(CrowdpointError):
    """A model name or file cannot be resolved, or the file does not hold what it should."""


class VideoError(CrowdpointError):
    """A video or a stream cannot be opened, read or written."""


class StorageError(CrowdpointError):
    """Results cannot be stored: no such database, a file that cannot be written, or a folder in use."""


class BatchError(CrowdpointError):
    """A batch cannot go on: its input or output cannot be reached, or its processes do not start."""


class ProcessError(CrowdpointError):
    """A process that works for this one has died, or cannot be started; the message says how it ended."""


class TrainingError(CrowdpointError):
    """Training cannot go on, for example because the loss is not finite."""


class MissingExtraError(CrowdpointError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional part: pip install 'crowdpoint[{extra}]'")
        self._parts = feature, extra

    def __reduce__(self) -> "tuple[type[MissingExtraError], tuple[str, str]]":
        """So that another process can raise it."""
        return MissingExtraError, self._parts


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Around writing to a file: what the system says against it becomes a StorageError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"{path}: cannot be written ({reason}); free space or choose a folder that can be written to"
        ) from error


@contextmanager
def requires(feature: str, extra: str) -> Iterator[None]:
    """Around the imports of an optional part: a missing package becomes a MissingExtraError.

    Args:
        feature: what the user asked for, to begin the message with.
        extra: the extra of the package that brings it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("crowdpoint"):
            raise
        raise MissingExtraError(feature, extra) from error
