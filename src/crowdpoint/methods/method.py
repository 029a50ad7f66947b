"""Interface of a method for training, prediction and evaluation; a method is an instance of a subclass."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from crowdpoint.estimate import Found
from crowdpoint.points import FloatArray, Points
from crowdpoint.recipe import ModelConfig, Recipe
from crowdpoint.tiles import Box, Tile

if TYPE_CHECKING:
    from torch import Tensor

    from crowdpoint.backbones.framing import ImageModel

Piece = tuple[Tile, Mapping[str, FloatArray]]
"""A tile, and the network's outputs (1, ...) on its window, by name."""

OverProcesses = Callable[["Tensor"], "Tensor"]
"""Averages a number over all processes that share a batch."""

C = TypeVar("C", bound=ModelConfig)
R = TypeVar("R", bound=Recipe)


class Official(NamedTuple):
    """The checkpoint that a paper's authors publish.

    Attributes:
        model: the name under which `crowdpoint import` reads it.
        paper: the paper's name of the method.
        key: key of the state dict in the file.
        rename: maps the authors' name of a parameter to ours, unused ones to None; keeps unknown names.
    """

    model: str
    paper: str
    key: str
    rename: Callable[[str], str | None]


class ReferencePoints(NamedTuple):
    """The points on an image that proposals start from.

    Attributes:
        stride: side in pixels of a cell of the network's map.
        xy: (M, 2) float32, pixels (x, y), cells in reading order.
    """

    stride: int
    xy: FloatArray


class Method(ABC, Generic[C, R]):
    """One way to find the objects on an image, from its configuration to the points.

    `config`, `outputs` and `decode` run without torch. `network` and `loss` import it when they are called.
    """

    name: ClassVar[str]
    """The value of `model.method` in a recipe."""
    config: type[C]
    """Configuration of the network and of the decoder; its field `method` is `Literal[name]`."""
    recipe: type[R]
    """Recipe whose `model` is a `config`; it may add sections of its own, such as `loss`."""
    locates: ClassVar[bool] = True
    """Whether `decode` returns points, not only an estimate of the count."""
    half_precision: ClassVar[bool] = False
    """Whether a GPU may run the convolutions in half precision without a loss of accuracy."""
    official: ClassVar[Official | None] = None
    """The authors' checkpoint, if they publish one."""

    @abstractmethod
    def outputs(self, config: C) -> tuple[str, ...]:
        """Return the names of the network's outputs, in their order."""

    @abstractmethod
    def decode(
        self, config: C, pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0
    ) -> Found:
        """Convert the outputs on all tiles of an image to scored points, or to an estimate of the count.

        Args:
            config: the model's configuration.
            pieces: the tiles of the image, whose cores do not overlap. A tile may be missing.
            image_size: (width, height) in pixels.
            least: points with a lower score may be dropped early, to bound memory.
        """

    @abstractmethod
    def network(self, config: C) -> "ImageModel":
        """Build the network, with fresh weights."""

    @abstractmethod
    def loss(
        self,
        outputs: Any,
        heads: Sequence[Points],
        borders: Sequence[Box],
        recipe: R,
        over_processes: OverProcesses,
    ) -> dict[str, "Tensor"]:
        """Compute the weighted terms of the loss by name; the total is their sum.

        Args:
            outputs: what `ImageModel.raw` returned for a batch of B crops.
            heads: annotated heads of the B crops, and those up to `reach` pixels around them. Their
                `image_size` excludes the padding.
            borders: the images that the crops are cut from, in pixels of each crop.
            recipe: the weights of the terms.
            over_processes: makes the mean of the processes' gradients the gradient of the whole batch.
        """

    def compares_parts(self, config: C) -> bool:
        """Tell whether the scores of points on parts of an image are those on the whole image."""
        return True

    def most_heads(self, config: C, side: int) -> float:
        """Return the maximum number of heads that can be found on a square crop of `side` pixels."""
        return math.inf

    def reach(self, config: C) -> float:
        """Return the distance in pixels at which heads around a crop affect its target; may be infinite."""
        return 0

    def reference_points(self, config: C, image_size: tuple[int, int]) -> ReferencePoints | None:
        """Return the reference points of an image of (width, height) pixels; None without proposals."""
        return None

    def true_map(self, config: C, heads: Points) -> FloatArray | None:
        """Return the map (H, W) that the network should predict for heads; None to show heads instead."""
        return None

    def empty_below(self, config: C) -> float | None:
        """Return the maximum of a map below which an image counts as empty; None without such a rule."""
        return None
