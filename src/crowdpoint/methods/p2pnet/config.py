"""Configuration of P2PNet: network, decoder, assignment and loss."""

from typing import Literal

from pydantic import Field

from crowdpoint.recipe import ModelConfig, Recipe
from crowdpoint.sections import Fraction, Section


class GatherConfig(Section):
    """Merging of proposals for the same head. Off by default, as in the paper."""

    radius: float = Field(0.0, ge=0)
    """Radius in pixels in which a proposal gathers the scores of others, highest scores first; 0 for none."""
    floor: Fraction = 0.1
    """Minimum score of the proposals that gather or are gathered."""
    separation: float = Field(0.0, ge=0)
    """Distance, relative to the side of its head, within which a merged proposal drops those of lower scores
    as remains of the same head; 0 to keep them. No effect without `predict_sizes`."""


class P2PNetConfig(ModelConfig):
    """P2PNet network and decoder (P2PNet, Sec. 3.4)."""

    method: Literal["p2pnet"] = "p2pnet"
    backbone: Literal["vgg16-bn", "vgg16", "efficientnet-lite0"] = "vgg16-bn"
    """Feature extractor, initialised with ImageNet weights if they are available."""
    stride: Literal[4, 8, 16] = 8
    """Input pixels per cell of the prediction map (P2PNet, Table 5)."""
    reference_points: Literal["grid", "center"] = "grid"
    """Layout of the reference points in a cell (P2PNet, Fig. 4 and Table 4)."""
    points_per_cell: int = Field(4, ge=1)
    """K, the number of reference points per cell (P2PNet, Table 6)."""
    offset_scale: float = Field(100.0, gt=0)
    """gamma, pixels per unit of the regressed offset (P2PNet, Eq. 2)."""
    pyramid_channels: int = Field(256, ge=8)
    """Channels of the merged feature map."""
    head_channels: int = Field(256, ge=8)
    """Channels inside the branches."""
    head: Literal["dense", "light"] = "dense"
    """Layers of a branch: two 3x3 convolutions and an output layer (P2PNet, Sec. 3.4); or a depthwise
    separable convolution shared by all branches, and two 1x1 convolutions, with half as many channels between
    them. With light branches, the last convolution of the pyramid is separable, too."""
    predict_sizes: bool = False
    """Predict the side of each head's box in a third branch; not in the paper."""
    threshold: Fraction = 0.5
    """Minimum score of a point. Training calibrates it on validation images."""
    decoder = "gather"
    gather: GatherConfig = GatherConfig()
    """Merging of proposals for the same head."""


class AssignmentConfig(Section):
    """Assignment of proposals to heads (P2PNet, Sec. 3.3 and Eq. 3)."""

    strategy: Literal["one-to-one", "nearest-proposal", "nearest-head"] = "one-to-one"
    """Hungarian matching, or one of the two alternatives in Fig. 3."""
    distance_weight: float = Field(0.05, gt=0)
    """tau, the cost of one pixel of distance relative to a score of 1 (P2PNet, Eq. 3)."""
    max_distance: float = Field(16.0, gt=0)
    """Maximum distance in pixels of a positive proposal in the nearest strategies; unused by one-to-one."""


class P2PNetLossConfig(Section):
    """Weights of the loss terms (P2PNet, Eq. 4-6)."""

    background_weight: float = Field(0.5, gt=0)
    """lambda_1, the weight of negative proposals in the cross-entropy."""
    point_weight: float = Field(2e-4, gt=0)
    """lambda_2, the weight of the point loss."""
    point_norm: Literal["squared", "distance"] = "squared"
    """Squared Euclidean distance as in Eq. 5, or the distance itself, which is less sensitive to outliers."""
    divisor: Literal["proposals", "weights"] = "proposals"
    """Divisor of the summed cross-entropy: the number of proposals (Eq. 4), or the sum of their weights, as
    in the released code."""
    count_weight: float = Field(0.0, ge=0)
    """Weight of the count error in each block of a crop; not in the paper."""
    count_block: int = Field(64, ge=16)
    """Side of a block in pixels."""
    size_weight: float = Field(0.0, ge=0)
    """Weight of the error of box sides, for data with boxes and models that predict sizes."""


class P2PNetRecipe(Recipe):
    """Configuration of a training run of P2PNet."""

    model: P2PNetConfig
    """Network and decoder."""
    assignment: AssignmentConfig = AssignmentConfig()
    """Assignment of proposals to heads."""
    loss: P2PNetLossConfig = P2PNetLossConfig()
    """Weights of the loss terms."""
