"""Published results of both papers, for comparison in reports."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """Results of a paper on one dataset.

    Attributes:
        system: name of the method.
        source: tables of the paper.
        figures: key of a metric -> printed value, with % for percentages.
    """

    system: str
    source: str
    figures: Mapping[str, str]


def _p2pnet(source: str, mae: str, rmse: str, *nap: str, **localization: tuple[str, str, str]) -> Published:
    deltas = ("nap 0.05", "nap 0.25", "nap 0.5", "nap mean")
    figures = {"mae": mae, "rmse": rmse} | dict(zip(deltas, nap, strict=True)) | _localization(localization)
    return Published("P2PNet", f"Song et al., 2021, {source}", figures)


def _fidtm(source: str, mae: str, rmse: str, **localization: tuple[str, str, str]) -> Published:
    figures = {"mae": mae, "rmse": rmse} | _localization(localization)
    return Published("FIDTM", f"Liang et al., 2021, {source}", figures)


def _localization(columns: Mapping[str, tuple[str, str, str]]) -> dict[str, str]:
    """Build the entries of precision, recall and F1 by sigma."""
    figures: dict[str, str] = {}
    for key, values in columns.items():
        sigma = {"s4": "4", "s8": "8", "s1_100": "1:100"}.get(key, key)
        figures |= dict(zip((f"precision {sigma}", f"recall {sigma}", f"f1 {sigma}"), values, strict=True))
    return figures


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "shanghaitech-a": (
        _p2pnet("Tables 1 and 2", "52.74", "85.06", "10.9 %", "70.3 %", "90.1 %", "64.4 %"),
        _fidtm(
            "Tables IV and VII",
            *("57.0", "103.4"),
            s4=("59.1 %", "58.2 %", "58.6 %"),
            s8=("78.2 %", "77.0 %", "77.6 %"),
        ),
    ),
    "shanghaitech-b": (
        _p2pnet("Tables 1 and 2", "6.25", "9.9", "23.8 %", "84.2 %", "94.1 %", "76.3 %"),
        _fidtm(
            "Tables IV and VII",
            *("6.9", "11.8"),
            s4=("64.9 %", "64.5 %", "64.7 %"),
            s8=("83.9 %", "83.2 %", "83.5 %"),
        ),
    ),
    "ucf-cc-50": (
        _p2pnet(
            "Tables 1 and 2; five-fold cross-validation",
            *("172.72", "256.18", "5.0 %", "54.5 %", "88.1 %", "54.3 %"),
        ),
        _fidtm(
            "Tables V and VII",
            *("171.4", "233.1"),
            s4=("46.5 %", "49.0 %", "47.7 %"),
            s8=("67.0 %", "70.6 %", "68.7 %"),
        ),
    ),
    "ucf-qnrf": (
        _p2pnet("Tables 1 and 2", "85.32", "154.5", "5.9 %", "55.4 %", "83.2 %", "53.1 %"),
        _fidtm("Tables II and VII", "89.0", "153.5", s1_100=("84.49 %", "80.10 %", "82.23 %")),
    ),
    "jhu-crowd++": (
        _fidtm(
            "Tables III and VII",
            *("66.6", "253.6"),
            s4=("38.9 %", "38.7 %", "38.8 %"),
            s8=("62.5 %", "62.4 %", "62.4 %"),
        ),
    ),
    "nwpu-crowd": (
        _p2pnet(
            "Tables 1, 3 and 7; counts and F1 of the test set",
            *("77.44", "362", "12.9 %", "71.3 %", "89.1 %", "65.0 %"),
            l=("72.9 %", "69.5 %", "71.2 %"),
        ),
        _fidtm(
            "Tables I and VI; validation set",
            *("51.4", "107.6"),
            l=("82.2 %", "75.9 %", "78.9 %"),
            s=("76.7 %", "70.9 %", "73.7 %"),
        ),
    ),
    "trancos": (
        Published(
            "FIDTM",
            "Liang et al., 2021, Table VIII",
            {"mae": "2.25", "game 0": "2.25", "game 1": "3.91", "game 2": "5.66", "game 3": "8.36"},
        ),
    ),
}
"""Published results by dataset: P2PNet with VGG16-BN, FIDTM with HRNet-W48."""
