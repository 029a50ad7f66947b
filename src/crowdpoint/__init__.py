"""Find every person in a picture: crowd localization and counting with P2PNet and FIDTM.

`load(name).predict(image)` gives `Points`; everything else is in the submodules.
"""

from typing import TYPE_CHECKING

from crowdpoint.errors import CrowdpointError
from crowdpoint.version import __version__

if TYPE_CHECKING:
    from crowdpoint.points import Points
    from crowdpoint.predict import Predictor

    load = Predictor.load
else:

    def __getattr__(name: str) -> object:
        """Imports the heavy names when they are first asked for, so that `crowdpoint --help` is instant."""
        if name == "Points":
            from crowdpoint.points import Points

            return Points
        if name in ("Predictor", "load"):
            from crowdpoint.predict import Predictor

            return Predictor if name == "Predictor" else Predictor.load
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["CrowdpointError", "Points", "Predictor", "__version__", "load"]
