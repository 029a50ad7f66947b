"""Classes of annotations: which ones a file has, and which ones are read."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from crowdpoint.errors import FormatError

_log = logging.getLogger(__name__)


class Classes:
    """Choice of classes while files are read, and a tally of those found.

    Args:
        wanted: names of the classes to read, or numbers where the format has no names; all by default.
    """

    def __init__(self, wanted: Iterable[str] = ()) -> None:
        self.wanted = tuple(wanted)
        self.counts: Counter[str] = Counter()
        """Class -> number of annotations, those that are not read included."""
        self._reported = False

    def keep(self, *names: str) -> bool:
        """Count an annotation with these classes, and check whether to read it."""
        self.counts.update(name for name in names if name)
        return not self.wanted or any(name in self.wanted for name in names)

    def check(self, path: Path) -> None:
        """Check that every wanted class was found.

        Raises:
            FormatError: if one was not, as after a typing error.
        """
        if missing := [name for name in self.wanted if name not in self.counts]:
            found = f"its classes are {self.describe()}" if self.counts else "it has no classes"
            raise FormatError(f"{path}: no annotation has the class {', '.join(missing)}; {found}")

    def report(self, path: Path, option: str) -> None:
        """Warn, once, if annotations of several classes in a file or folder are read as one.

        The warning names the `option` that chooses classes, unless it was used.
        """
        if not self.wanted and len(self.counts) > 1 and not self._reported:
            self._reported = True
            found = self.describe()
            _log.warning("warning: %s: reads all classes as one: %s; choose with %s", path, found, option)

    def describe(self) -> str:
        """List the classes found, the most frequent first.

        >>> classes = Classes()
        >>> all(classes.keep(name) for name in ("body", "head", "head"))
        True
        >>> classes.describe()
        'head (2), body (1)'
        """
        return ", ".join(f"{name} ({count})" for name, count in self.counts.most_common())


def report_shapes(path: Path, skipped: Counter[str]) -> None:
    """Log a warning of the annotated shapes that are not read as heads.

    Args:
        path: file that was read.
        skipped: kind of shape -> number of shapes.
    """
    if skipped:
        found = ", ".join(f"{kind} ({count})" for kind, count in skipped.most_common())
        _log.warning("warning: %s: leaves out shapes that mark no single head: %s", path, found)
