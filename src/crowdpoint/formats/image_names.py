"""Match the image names in annotations, which tools write in many ways, to photos."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from difflib import get_close_matches
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from crowdpoint.folders import IMAGE_SUFFIXES, VRT_SUFFIXES

_SUFFIXES = IMAGE_SUFFIXES | VRT_SUFFIXES

_MAX_SHOWN = 80
"""Maximum length of a name in messages; some tools store whole images as names."""

Path = tuple[str, ...]
"""The components of a name, folders first."""

Rewrite = Callable[[str], str]


def plain_name(image: str) -> str:
    """Strip the folder and the image extension.

    >>> plain_name("train/a.1.jpg")
    'a.1'
    """
    path = PurePosixPath(image.replace("\\", "/"))
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def is_image(name: str) -> bool:
    """Check whether a path or URL has the extension of an image."""
    return PurePosixPath(_extract_path(name)).suffix.lower() in _SUFFIXES


def match(photos: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Match each photo to the name under which it is annotated.

    Exact matches come first, then increasingly loose ones among the photos and names that are still
    unmatched:

    - in another folder, with backslashes, in another Unicode normal form, with the extension in another case,
      without an extension or with that of another image format;
    - by the decoded path of a URL or of Label Studio's `/data/local-files/?d=…`;
    - without the upload prefix or suffix that one of the two has: Label Studio's `9f3b2c1d-` or Roboflow's
      `_jpg.rf.…`. Two names that both have one are different: `20260101-a.jpg` is not `20260102-a.jpg`;
    - ignoring case and the spaces and punctuation that uploads and file systems change.

    If either has no folder, only the last component is compared. Otherwise one must end with the other's
    folders and name: `train/a.jpg` matches `/data/train/a.jpg`, but not `val/a.jpg`.

    Args:
        photos: paths of photos, relative to their folder.
        names: image names in annotations.

    Returns:
        photo -> name for the matched photos, in the order of the photos.

    Raises:
        ValueError: if two names match one photo, or two photos one name, equally well.

    >>> match(["train/a.jpg", "train/b.jpg"], ["9f3b2c1d-a.jpg", "B.png"])
    {'train/a.jpg': '9f3b2c1d-a.jpg', 'train/b.jpg': 'B.png'}
    """
    photos, names = list(dict.fromkeys(photos)), list(dict.fromkeys(names))
    found: dict[str, str] = {}
    for of_photo, of_name in _RULES:
        if len(found) == len(photos):
            break
        taken = set(found.values())
        rest = [(photo, of_photo(photo)) for photo in photos if photo not in found]
        found |= _apply_rule(rest, [(name, of_name(name)) for name in names if name not in taken])
    return {photo: found[photo] for photo in photos if photo in found}


def find_nearest(name: str, others: Iterable[str], taken: Container[str] = ()) -> str:
    """Find the most similar of other names, shortened for a message; `nothing` if there are none.

    Compares the last components as the loosest rule of `match` does. Ignores the `taken` names, which match
    something else, unless all are.
    """
    others = list(others)
    free = [other for other in others if other not in taken] or others
    simplify = _RULES[-1][0]  # strips uploads, too
    simple = {simplify(other)[-1]: other for other in free[:1000]}
    similar = get_close_matches(simplify(name)[-1], simple, n=1, cutoff=0)
    return shorten(simple[similar[0]]) if similar else "nothing"


def shorten(name: str) -> str:
    """Shorten a name for a message."""
    return name if len(name) <= _MAX_SHOWN else f"{name[: _MAX_SHOWN // 2]}…{name[-_MAX_SHOWN // 2 :]}"


def _apply_rule(photos: list[tuple[str, Path]], names: list[tuple[str, Path]]) -> dict[str, str]:
    by_last: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for photo, path in photos:
        by_last[path[-1]].append((photo, path))
    found: dict[str, str] = {}
    for name, path in names:
        fitting = {}  # photo -> length of the shorter path, with which the longer one ends
        for photo, own in by_last.get(path[-1], ()):
            length = min(len(path), len(own))
            if path[-length:] == own[-length:]:
                fitting[photo] = length
        most = max(fitting.values(), default=0)
        best = [photo for photo, length in fitting.items() if length == most]
        if len(best) > 1:
            raise ValueError(
                f"{shorten(name)} matches both {shorten(best[0])} and {shorten(best[1])}; "
                "add its folder and extension"
            )
        for photo in best:
            if (other := found.setdefault(photo, name)) != name:
                raise ValueError(
                    f"{shorten(other)} and {shorten(name)} both match {shorten(photo)}; "
                    "add their folders, or remove one"
                )
    return found


def _split(name: str) -> Path:
    parts = unicodedata.normalize("NFC", name.replace("\\", "/")).split("/")
    return (*(part for part in parts[:-1] if part not in ("", ".")), parts[-1])


def _extract_path(name: str) -> str:
    """Extract the decoded path of a URL or of Label Studio's reference to a local file."""
    try:
        url = urlsplit(name.replace("\\", "/"))
    except ValueError:  # brackets that are not an IPv6 address
        return name
    if local := re.search(r"(?:^|&)d=([^&]+)", url.query):
        return unquote(local[1])
    is_url = len(url.scheme) > 1  # a single letter is a Windows drive
    return unquote(url.path if is_url or url.query else name)


def _strip_upload(name: str) -> str:
    """Strip what upload tools add to a name; then also the folders, which are the tool's own."""
    name = _extract_path(name)
    last = name.replace("\\", "/").rpartition("/")[2]
    bare = re.sub(r"^[0-9a-f]{8}-(?=.)", "", last)
    bare = re.sub(r"_(\w{3,4})\.rf\.\w+\.\w+$", r".\1", bare)
    return name if bare == last else bare


def _simplify(rewrite: Rewrite, name: str) -> str:
    """Rewrite, then lower-case and replace spaces and punctuation as Label Studio does."""
    return re.sub(r"[^-\w./\\]", "", rewrite(name).strip().replace(" ", "_")).casefold()


def _keep_extension(rewrite: Rewrite, name: str) -> Path:
    *folders, last = _split(rewrite(name))
    stem, dot, extension = last.rpartition(".")
    return (*folders, f"{stem}{dot}{extension.lower()}")


def _drop_extension(rewrite: Rewrite, name: str) -> Path:
    *folders, last = _split(rewrite(name))
    return (*folders, plain_name(last))


_UPLOADS: list[tuple[Rewrite, Rewrite]] = [
    (_extract_path, _extract_path),
    (_extract_path, _strip_upload),
    (_strip_upload, _extract_path),
]
_REWRITES: list[tuple[Rewrite, Rewrite]] = [
    (str, str),
    *_UPLOADS,
    *((partial(_simplify, of_photo), partial(_simplify, of_name)) for of_photo, of_name in _UPLOADS),
]
_RULES: list[tuple[Callable[[str], Path], Callable[[str], Path]]] = [
    (lambda name: (name,),) * 2,
    (_split, _split),
    *(
        (partial(compare, of_photo), partial(compare, of_name))
        for of_photo, of_name in _REWRITES
        for compare in (_keep_extension, _drop_extension)
    ),
]
"""Rules from the strictest to the loosest: functions of a photo and of a name whose results must agree."""
