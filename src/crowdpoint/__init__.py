"""Find every person in a picture: crowd localization and counting with P2PNet and FIDTM.

`load(name).predict(image)` returns `Points`, and `evaluate(predictor, samples)` metrics on a dataset.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crowdpoint.errors import CrowdpointError
from crowdpoint.version import __version__

if TYPE_CHECKING:
    from crowdpoint.evaluation import evaluate
    from crowdpoint.points import Points
    from crowdpoint.predict import Predictor

    load = Predictor.load
else:
    _HOMES = {
        "Points": "crowdpoint.points",
        "Predictor": "crowdpoint.predict",
        "evaluate": "crowdpoint.evaluation",
    }

    def __getattr__(name: str) -> Any:
        """Import a heavy name when it is first used, so that `crowdpoint --help` is instant."""
        if name == "load":
            return __getattr__("Predictor").load
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return __all__


__all__ = ["CrowdpointError", "Points", "Predictor", "__version__", "evaluate", "load"]
