"""Image names: written by tools in many ways, matched here to the photos that they mean."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from crowdpoint.gdal import VRT_SUFFIXES
from crowdpoint.images import IMAGE_SUFFIXES

_SUFFIXES = IMAGE_SUFFIXES | VRT_SUFFIXES

_SHOWN = 80
"""Characters of a name that a message shows; some tools put whole pictures into it."""

Path = tuple[str, ...]
"""The parts of a name, folders first."""


def plain_name(image: str) -> str:
    """The image's name without folder and image ending: `train/a.1.jpg` is `a.1`."""
    path = PurePosixPath(image.replace("\\", "/"))
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def is_image(name: str) -> bool:
    """Whether a path or a URL ends like an image."""
    return PurePosixPath(_of_url(name)).suffix.lower() in _SUFFIXES


def match(photos: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Finds the name under which each photo is annotated.

    A name is first taken as it stands, then in ever looser ways, each only for photos and names that are
    not matched yet:

    - in another folder, with back slashes for slashes, in any normal form of Unicode, the ending in any
      case, without an ending or with that of another kind of image;
    - a URL, or Label Studio's `/data/local-files/?d=…`, as the path in it, percent-escapes decoded;
    - without what tools add on upload: Label Studio's `9f3b2c1d-` in front and Roboflow's `_jpg.rf.…`;
    - with the spaces, signs and upper case that uploads and file systems change.

    Where one of the two has no folder, the last part of the other alone tells; otherwise one must end with
    the other's folders and name: `train/a.jpg` is `/data/train/a.jpg`, but not `val/a.jpg`.

    Args:
        photos: paths of photos, below the folder that they are in.
        names: what annotations call them.

    Returns:
        photo -> name, for the photos that have one, in the order of the photos.

    Raises:
        ValueError: if two names fit one photo, or two photos one name, equally well.
    """
    photos, names = list(dict.fromkeys(photos)), list(dict.fromkeys(names))
    found: dict[str, str] = {}
    for rule in _RULES:
        if len(found) == len(photos):
            break
        taken = set(found.values())
        rest = [photo for photo in photos if photo not in found]
        found |= _matches(rest, [name for name in names if name not in taken], rule)
    return {photo: found[photo] for photo in photos if photo in found}


def nearest(name: str, others: Iterable[str]) -> str:
    """The most similar of other names, shortened for a message; `nothing` if there are none."""
    others = list(others)
    similar = get_close_matches(name, others[:1000], n=1, cutoff=0) or others[:1]
    return shown(similar[0]) if similar else "nothing"


def shown(name: str) -> str:
    """A name short enough for a message."""
    return name if len(name) <= _SHOWN else f"{name[: _SHOWN // 2]}…{name[-_SHOWN // 2 :]}"


def _matches(photos: list[str], names: list[str], rule: Callable[[str], Path]) -> dict[str, str]:
    """What one rule finds among photos and names of which none is matched yet."""
    by_last: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for photo in photos:
        path = rule(photo)
        by_last[path[-1]].append((photo, path))
    found: dict[str, str] = {}
    for name in names:
        path = rule(name)
        fitting = [(photo, other) for photo, other in by_last.get(path[-1], ()) if _agree(path, other)]
        most = max((min(len(path), len(other)) for _, other in fitting), default=0)
        best = [photo for photo, other in fitting if min(len(path), len(other)) == most]
        if len(best) > 1:
            raise ValueError(
                f"{shown(name)} may be {shown(best[0])} or {shown(best[1])}; "
                "name it with its folder and ending"
            )
        for photo in best:
            if (other := found.setdefault(photo, name)) != name:
                raise ValueError(
                    f"{shown(other)} and {shown(name)} may both be {shown(photo)}; "
                    "name them with their folders, or remove one"
                )
    return found


def _agree(first: Path, second: Path) -> bool:
    """Whether the shorter path is the end of the longer."""
    length = min(len(first), len(second))
    return first[-length:] == second[-length:]


def _parts(name: str) -> Path:
    """The folders and the name, in Unicode's normal form C."""
    parts = unicodedata.normalize("NFC", name.replace("\\", "/")).split("/")
    return (*(part for part in parts[:-1] if part not in ("", ".")), parts[-1])


def _of_url(name: str) -> str:
    """The path in a URL or in Label Studio's name of a local file, percent-escapes decoded."""
    try:
        url = urlsplit(name.replace("\\", "/"))
    except ValueError:  # brackets that are no address
        return name
    if local := re.search(r"(?:^|&)d=([^&]+)", url.query):
        return unquote(local[1])
    is_url = len(url.scheme) > 1  # one letter is a drive of Windows
    return unquote(url.path if is_url or url.query else name)


def _uploaded(name: str) -> str:
    """The name before a tool took it in; where it added to the name, the folders are the tool's, too."""
    name = _of_url(name)
    last = name.replace("\\", "/").rpartition("/")[2]
    bare = re.sub(r"^[0-9a-f]{8}-(?=.)", "", last)
    bare = re.sub(r"_(\w{3,4})\.rf\.\w+\.\w+$", r".\1", bare)
    return name if bare == last else bare


def _simplified(name: str) -> str:
    """As `_uploaded`, in lower case, with what Label Studio's uploads make of spaces and signs."""
    return re.sub(r"[^-\w./\\]", "", _uploaded(name).strip().replace(" ", "_")).casefold()


def _literal(name: str) -> Path:
    return (name,)


def _with_ending(rewrite: Callable[[str], str], name: str) -> Path:
    *folders, last = _parts(rewrite(name))
    stem, dot, ending = last.rpartition(".")
    return (*folders, f"{stem}{dot}{ending.lower()}")


def _without_ending(rewrite: Callable[[str], str], name: str) -> Path:
    *folders, last = _parts(rewrite(name))
    return (*folders, plain_name(last))


_RULES: list[Callable[[str], Path]] = [
    _literal,
    _parts,
    *(
        partial(compare, rewrite)
        for rewrite in (str, _of_url, _uploaded, _simplified)
        for compare in (_with_ending, _without_ending)
    ),
]
"""From the strictest to the loosest: what is compared of a photo's path and of a name."""
