"""FIDTM (Liang et al., "Focal Inverse Distance Transform Maps for Crowd Localization", 2021).

| paper | module |
|---|---|
| Sec. III-A, IDT and FIDT maps (Eq. 2 and 3, Table IX) | `targets` |
| Sec. III-B, regressor HRNet-W48, and those of Table XIV | `network`, `crowdpoint.backbones` |
| Sec. III-C, SSIM and I-SSIM (Eq. 5 to 7, Table XI), loss (Eq. 8, Table X) | `ssim`, `loss` |
| Sec. III-B, LMDS (Algorithm 1, Table XII) | `peaks`, `decode` |
| Sec. III-B, boxes (Eq. 4) | `crowdpoint.neighbors.knn_boxes` |
| Eq. 9 to 13, metrics | `crowdpoint.metrics` |
| Tables IX to XIV, ablations | `crowdpoint.ablations` |

The density maps of Table XIV are `crowdpoint.methods.density`. Head sizes and the classification of maxima
in the loss are not in the paper, and off by default.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from crowdpoint.methods.fidtm.config import FIDTMConfig, FIDTMRecipe
from crowdpoint.methods.fidtm.decode import decode_map
from crowdpoint.methods.fidtm.targets import fidt_map, fidt_reach
from crowdpoint.methods.method import Method, Official, OverProcesses, Piece
from crowdpoint.points import FloatArray, Points
from crowdpoint.tiles import Box

if TYPE_CHECKING:
    from torch import Tensor

    from crowdpoint.backbones.regressor import MapRegressor, Maps


class FIDTMMethod(Method[FIDTMConfig, FIDTMRecipe]):
    """A map with a peak on every head.

    It runs in full precision: a map in half precision has plateaus, whose cells are all local maxima. Targets
    and decoding take a time linear in the pixels, I-SSIM also in the heads.
    """

    name = "fidtm"
    config = FIDTMConfig
    recipe = FIDTMRecipe
    official = Official(  # data parallelism gave the names their prefix
        "fidtm-hrnet-w48", "FIDTM", "state_dict", lambda key: key.removeprefix("module.")
    )

    def outputs(self, config: FIDTMConfig) -> tuple[str, ...]:
        """Return `map`, and `sides` if the model predicts the sides of boxes."""
        return ("map", "sides") if config.predict_sizes else ("map",)

    def decode(
        self, config: FIDTMConfig, pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0
    ) -> Points:
        """Find the local maxima of the image's map; see `decode_map`."""
        return decode_map(pieces, image_size, least, lmds=config.lmds)

    def network(self, config: FIDTMConfig) -> "MapRegressor":
        """Build the network, with fresh weights."""
        from crowdpoint.methods.fidtm.network import regressor

        return regressor(config)

    def loss(
        self,
        outputs: "Maps",
        heads: Sequence[Points],
        borders: Sequence[Box],
        recipe: FIDTMRecipe,
        over_processes: OverProcesses,
    ) -> dict[str, "Tensor"]:
        """Compute the terms of Eq. 8; see `fidtm_loss`."""
        from crowdpoint.methods.fidtm.loss import fidtm_loss

        return fidtm_loss(outputs, heads, recipe.model, recipe.loss, over_processes)

    def compares_parts(self, config: FIDTMConfig) -> bool:
        """Tell whether the threshold is fixed, and not relative to the image's largest value."""
        return not config.lmds.adaptive

    def reach(self, config: FIDTMConfig) -> int:
        """Return the distance in pixels from which a head has no effect on the map."""
        return fidt_reach(config.alpha, config.beta)

    def true_map(self, config: FIDTMConfig, heads: Points) -> FloatArray:
        """Return the FIDT map of heads (Eq. 3)."""
        return fidt_map(heads, alpha=config.alpha, beta=config.beta)

    def empty_below(self, config: FIDTMConfig) -> float:
        """Return T_f of Algorithm 1."""
        return config.lmds.negative_threshold


FIDTM = FIDTMMethod()
