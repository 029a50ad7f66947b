"""Published results of both papers, for comparison in reports."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple


class Published(NamedTuple):
    """Results of a method on one dataset, as printed in tables of its paper."""

    system: str
    source: str
    figures: Mapping[str, str]
    """Key of a metric -> printed value, with % for percentages."""


def _create_entry(system: str, source: str, counting: str, nap: str = "", **localization: str) -> Published:
    """Create an entry from figures separated by spaces, in percent except for `counting`, MAE and RMSE.

    `nap` is nAP at 0.05, 0.25 and 0.5 and its mean; `s4` or `s1_100` is precision, recall and F1 at a sigma.
    """
    figures = dict(zip(("mae", "rmse"), counting.split(), strict=True))
    deltas = ("0.05", "0.25", "0.5", "mean")
    figures |= {f"nap {delta}": f"{value} %" for delta, value in zip(deltas, nap.split(), strict=False)}
    for key, values in localization.items():
        sigma = key.removeprefix("s").replace("_", ":") or key
        for name, value in zip(("precision", "recall", "f1"), values.split(), strict=True):
            figures[f"{name} {sigma}"] = f"{value} %"
    return Published(system, source, figures)


_p2pnet = partial(_create_entry, "P2PNet")
_fidtm = partial(_create_entry, "FIDTM")
_SONG, _LIANG = "Song et al., 2021", "Liang et al., 2021"

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "shanghaitech-a": (
        _p2pnet(f"{_SONG}, Tables 1 and 2", "52.74 85.06", "10.9 70.3 90.1 64.4"),
        _fidtm(f"{_LIANG}, Tables IV and VII", "57.0 103.4", s4="59.1 58.2 58.6", s8="78.2 77.0 77.6"),
    ),
    "shanghaitech-b": (
        _p2pnet(f"{_SONG}, Tables 1 and 2", "6.25 9.9", "23.8 84.2 94.1 76.3"),
        _fidtm(f"{_LIANG}, Tables IV and VII", "6.9 11.8", s4="64.9 64.5 64.7", s8="83.9 83.2 83.5"),
    ),
    "ucf-cc-50": (
        _p2pnet(
            *(f"{_SONG}, Tables 1 and 2; five-fold cross-validation", "172.72 256.18", "5.0 54.5 88.1 54.3")
        ),
        _fidtm(f"{_LIANG}, Tables V and VII", "171.4 233.1", s4="46.5 49.0 47.7", s8="67.0 70.6 68.7"),
    ),
    "ucf-qnrf": (
        _p2pnet(f"{_SONG}, Tables 1 and 2", "85.32 154.5", "5.9 55.4 83.2 53.1"),
        _fidtm(f"{_LIANG}, Tables II and VII", "89.0 153.5", s1_100="84.49 80.10 82.23"),
    ),
    "jhu-crowd++": (
        _fidtm(f"{_LIANG}, Tables III and VII", "66.6 253.6", s4="38.9 38.7 38.8", s8="62.5 62.4 62.4"),
    ),
    "nwpu-crowd": (
        _p2pnet(
            *(f"{_SONG}, Tables 1, 3 and 7; counts and F1 of the test set", "77.44 362"),
            *("12.9 71.3 89.1 65.0",),
            l="72.9 69.5 71.2",
        ),
        _fidtm(
            *(f"{_LIANG}, Tables I and VI; validation set", "51.4 107.6"),
            l="82.2 75.9 78.9",
            s="76.7 70.9 73.7",
        ),
    ),
    "trancos": (
        Published(
            "FIDTM",
            f"{_LIANG}, Table VIII",
            {"mae": "2.25", "game 0": "2.25", "game 1": "3.91", "game 2": "5.66", "game 3": "8.36"},
        ),
    ),
}
"""Published results by dataset: P2PNet with VGG16-BN, FIDTM with HRNet-W48."""
