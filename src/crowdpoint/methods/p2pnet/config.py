"""The configuration of P2PNet: network, decoder, assignment and loss, one default per value."""

from typing import Literal

from pydantic import Field

from crowdpoint.recipe import ModelConfig, Recipe
from crowdpoint.sections import Fraction, Section


class GatherConfig(Section):
    """How proposals that mean one head are made into one; the default is not at all, as in P2PNet's paper."""

    radius: float = Field(0.0, ge=0)
    """Pixels within which a proposal gathers the scores of others, the surest first; 0 for none."""
    floor: Fraction = 0.1
    """Proposals with a lower score neither gather nor are gathered."""


class P2PNetConfig(ModelConfig):
    """The P2PNet network (P2PNet, Sec. 3.4)."""

    method: Literal["p2pnet"] = "p2pnet"
    backbone: Literal["vgg16-bn", "vgg16", "efficientnet-lite0"] = "vgg16-bn"
    """Feature extractor, started from ImageNet weights where they are at hand."""
    stride: Literal[4, 8, 16] = 8
    """Input pixels per cell of the map that proposals are predicted on (P2PNet, Table 5)."""
    reference_points: Literal["grid", "center"] = "grid"
    """Where a cell's reference points lie (P2PNet, Fig. 4 and Table 4)."""
    points_per_cell: int = Field(4, ge=1)
    """K, the reference points in each cell (P2PNet, Table 6)."""
    offset_scale: float = Field(100.0, gt=0)
    """gamma, pixels per unit of the regressed offset (P2PNet, Eq. 2)."""
    pyramid_channels: int = Field(256, ge=8)
    """Channels of the merged feature map."""
    head_channels: int = Field(256, ge=8)
    """Channels inside the branches."""
    head: Literal["dense", "light"] = "dense"
    """Layers of a branch: two 3x3 convolutions and a third for the outputs (P2PNet, Sec. 3.4); or a depthwise
    separable one that all branches share, and two 1x1."""
    predict_sizes: bool = False
    """Whether a third branch predicts the side of each head's box, which the paper does not have."""
    threshold: Fraction = 0.5
    """Proposals with at least this score are people; calibrated on validation images by training."""
    decoder = "gather"
    gather: GatherConfig = GatherConfig()
    """How proposals that mean one head are made into one."""


class AssignmentConfig(Section):
    """Which proposal answers for which head (P2PNet, Sec. 3.3 and Eq. 3)."""

    strategy: Literal["one-to-one", "nearest-proposal", "nearest-head"] = "one-to-one"
    """Hungarian matching, or one of the two strategies that the paper rejects (Fig. 3)."""
    distance_weight: float = Field(0.05, gt=0)
    """tau, the cost of one pixel of distance against a score of one (P2PNet, Eq. 3)."""
    max_distance: float = Field(16.0, gt=0)
    """Pixels beyond which the two nearest strategies leave a proposal negative; unused by one-to-one."""


class P2PNetLossConfig(Section):
    """The weights of the P2PNet loss (P2PNet, Eq. 4-6)."""

    background_weight: float = Field(0.5, gt=0)
    """lambda_1, the weight of negative proposals in the cross-entropy."""
    point_weight: float = Field(2e-4, gt=0)
    """lambda_2, the weight of the point loss."""
    point_norm: Literal["squared", "distance"] = "squared"
    """Squared Euclidean distance as in Eq. 5, or the distance itself, which outliers pull less."""
    divisor: Literal["proposals", "weights"] = "proposals"
    """What the sum of the cross-entropy is divided by: the number of proposals (Eq. 4), or the sum of their
    weights, as in the released code."""
    count_weight: float = Field(0.0, ge=0)
    """Weight of the error of the count in each block of a crop, which the paper does not have."""
    count_block: int = Field(64, ge=16)
    """Side in pixels of a block."""
    size_weight: float = Field(0.0, ge=0)
    """Weight of the error of the boxes' sides, where the data have boxes and the model predicts sizes."""


class P2PNetRecipe(Recipe):
    """A whole training of P2PNet."""

    model: P2PNetConfig
    """The network."""
    assignment: AssignmentConfig = AssignmentConfig()
    """Targets of the proposals."""
    loss: P2PNetLossConfig = P2PNetLossConfig()
    """Weights of the loss terms."""
