"""Find every person in a picture: crowd localization and counting with P2PNet and FIDTM.

`load(name).predict(image)` returns `Points`, and `evaluate(predictor, samples)` the metrics of a model on a
dataset; everything else is in the submodules.
"""

from typing import TYPE_CHECKING

from crowdpoint.errors import CrowdpointError
from crowdpoint.version import __version__

if TYPE_CHECKING:
    from crowdpoint.evaluation import evaluate
    from crowdpoint.points import Points
    from crowdpoint.predict import Predictor

    load = Predictor.load
else:

    def __getattr__(name: str) -> object:
        """Import a heavy name when it is first used, so that `crowdpoint --help` is instant."""
        if name == "evaluate":
            from crowdpoint.evaluation import evaluate

            return evaluate
        if name == "Points":
            from crowdpoint.points import Points

            return Points
        if name in ("Predictor", "load"):
            from crowdpoint.predict import Predictor

            return Predictor if name == "Predictor" else Predictor.load
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = ["CrowdpointError", "Points", "Predictor", "__version__", "evaluate", "load"]
