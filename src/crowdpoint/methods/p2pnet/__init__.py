"""P2PNet (Song et al., "Rethinking Counting and Localization in Crowds", 2021).

| paper | module |
|---|---|
| Sec. 3.1, point proposals and scores, and their selection | `decode` |
| Sec. 3.2, nAP (Eq. 1) | `crowdpoint.metrics.nap` |
| Sec. 3.3, one-to-one matching (Eq. 3, Fig. 3) | `assignment` |
| Sec. 3.4, network (Fig. 5), offsets (Eq. 2) | `network` |
| Sec. 3.4, layouts of reference points (Fig. 4, Table 4) | `reference_points` |
| Sec. 3.4, loss (Eq. 4 to 6) | `loss` |
| Sec. 4.1, crops | `crowdpoint.train.transforms` |
| Tables 4 to 6, ablations | `crowdpoint.ablations` |

`gathering`, head sizes and the count term of the loss are not in the paper, and off by default.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from crowdpoint.methods.method import Method, OverProcesses, Piece, ReferencePoints
from crowdpoint.methods.p2pnet.config import P2PNetConfig, P2PNetRecipe
from crowdpoint.methods.p2pnet.decode import decode_proposals
from crowdpoint.methods.p2pnet.official import OFFICIAL
from crowdpoint.methods.p2pnet.reference_points import image_reference_points
from crowdpoint.points import Points
from crowdpoint.tiles import Box

if TYPE_CHECKING:
    from torch import Tensor

    from crowdpoint.methods.p2pnet.network import P2PNet, Proposals


class P2PNetMethod(Method[P2PNetConfig, P2PNetRecipe]):
    """Proposals with scores, paired with heads one to one.

    With M proposals and N heads, decoding is linear in M; gathering is linear in the pairs within its radius.
    The assignment of one image takes O(M N min(M, N)) at worst.
    """

    name = "p2pnet"
    config = P2PNetConfig
    recipe = P2PNetRecipe
    half_precision = True
    official = OFFICIAL

    def outputs(self, config: P2PNetConfig) -> tuple[str, ...]:
        """Return `points`, `scores`, and `sides` if the model predicts the sides of boxes."""
        return ("points", "scores", "sides") if config.predict_sizes else ("points", "scores")

    def decode(
        self, config: P2PNetConfig, pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0
    ) -> Points:
        """Collect the proposals of all tiles; see `decode_proposals`."""
        return decode_proposals(pieces, image_size, least, gather=config.gather)

    def network(self, config: P2PNetConfig) -> "P2PNet":
        """Build the network, with fresh weights."""
        from crowdpoint.methods.p2pnet.network import P2PNet

        return P2PNet(config)

    def loss(
        self,
        outputs: "Proposals",
        heads: Sequence[Points],
        borders: Sequence[Box],
        recipe: P2PNetRecipe,
        over_processes: OverProcesses,
    ) -> dict[str, "Tensor"]:
        """Compute the terms of Eq. 6; see `p2pnet_loss`."""
        from crowdpoint.methods.p2pnet.loss import p2pnet_loss

        return p2pnet_loss(outputs, heads, recipe, over_processes)

    def most_heads(self, config: P2PNetConfig, side: int) -> float:
        """Return the number of proposals on a crop, each of which can be one head's."""
        return config.points_per_cell * (-(-side // config.stride)) ** 2

    def reference_points(self, config: P2PNetConfig, image_size: tuple[int, int]) -> ReferencePoints:
        """Return the reference points of every cell; see `image_reference_points`."""
        return ReferencePoints(config.stride, image_reference_points(config, image_size))


P2PNET = P2PNetMethod()
