"""Determine the images of a batch's input that its output lacks."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Self

from crowdpoint.batch.store import Store
from crowdpoint.errors import ConfigError
from crowdpoint.redaction import redact

CHUNKS_PER_WORKER = 4
"""Minimum number of chunks per worker, so that all finish at about the same time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Remaining work of a batch.

    Attributes:
        images: locations in neither table, as keys.
        total: number of unique images in the input.
        predicted_before: number of those in the table `points`.
        failed_before: number of those in the table `failures`.
    """

    images: dict[str, None]
    total: int
    predicted_before: int
    failed_before: int

    @classmethod
    def compare(cls, images: dict[str, None], store: Store, *, retry_failures: bool = False) -> Self:
        """Compare a batch's input with its output.

        Args:
            images: locations of the input; finished ones are removed.
            store: the output.
            retry_failures: whether to repeat images that failed before.

        Raises:
            ConfigError: if two images differ only in what `redact` hides.
        """
        total = len(images)
        names: dict[str, str] = {}  # as in the tables
        for image in images:
            if names.setdefault(redact(image), image) != image:
                raise ConfigError(
                    f"{redact(image)}: two images have this name where secrets are hidden, so that results "
                    "could not tell them apart; download them, and give the folder"
                )
        if retry_failures:
            store.remove_failures(names)
        left = [total]
        for table in ("failures", "points"):
            for image in chain.from_iterable(store.images(table)):
                images.pop(names.get(image, image), None)
            left.append(len(images))
        return cls(images, total, predicted_before=left[1] - left[2], failed_before=left[0] - left[1])

    def chunks(self, largest: int, workers: int) -> Iterator[list[str]]:
        """Yield the images in lists of at most `largest`, shorter if few images remain."""
        size = max(1, min(largest, len(self.images) // (CHUNKS_PER_WORKER * workers)))
        images = iter(self.images)
        while chunk := list(islice(images, size)):
            yield chunk
