"""What a batch has to do: the images of its input that its output does not have yet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Self

from crowdpoint.batch.store import Store
from crowdpoint.redaction import redact

CHUNKS_PER_WORKER = 4
"""How many chunks there are at least for each worker, so that all end at about the same time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        images: locations that are in neither table; the values mean nothing.
        total: images of the input, each once.
        predicted_before: those of them that are in the table `points`.
        failed_before: those of them that are in the table `failures`.
    """

    images: dict[str, None]
    total: int
    predicted_before: int
    failed_before: int

    @classmethod
    def of(cls, images: dict[str, None], store: Store, *, retry_failures: bool = False) -> Self:
        """Compares a batch's input with its output.

        Args:
            images: the locations of the input; what is done is taken out of it.
            store: the output.
            retry_failures: whether images that failed before are to be done again.

        Raises:
            BatchError: if the output cannot be read, or its failures cannot be forgotten.
        """
        total = len(images)
        names = {redact(image): image for image in images}  # as the tables have them
        if retry_failures:
            store.forget_failures(names)
        failed_before = _remove(images, names, store.images("failures"))
        predicted_before = _remove(images, names, store.images("points"))
        return cls(images, total, predicted_before, failed_before)

    def chunks(self, largest: int, workers: int) -> Iterator[list[str]]:
        """The images in lists of at most `largest`, and shorter ones where there is little to do."""
        size = max(1, min(largest, len(self.images) // (CHUNKS_PER_WORKER * workers)))
        images = iter(self.images)
        while chunk := list(islice(images, size)):
            yield chunk


def _remove(images: dict[str, None], names: dict[str, str], files: Iterable[list[str]]) -> int:
    """Takes out of `images` what is done; how many that were."""
    before = len(images)
    for done in files:
        for image in done:
            images.pop(names.get(image, image), None)
    return before - len(images)
