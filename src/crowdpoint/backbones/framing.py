"""Base class of the networks, which normalises and pads images inside the network and its exported graph."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Self

import torch
from torch import Tensor, nn

from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.imagenet import MEAN, STD
from crowdpoint.errors import ConfigError


class ImageModel(nn.Module):
    """Base class of the networks, which take RGB in [0, 255] of any size.

    Mean and standard deviation are buffers that are exported with the network but not saved with its weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, alignment: int, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> None:
        """Set the deepest stride in pixels, and the mean and standard deviation of RGB channels, 0-255."""
        super().__init__()
        self.alignment = alignment
        self._frozen: list[nn.Module] = []
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def raw(self, images: Tensor) -> Any:
        """Predict a NamedTuple of tensors for the method's loss; arguments as `forward`."""
        raise NotImplementedError

    def branches(self) -> dict[str, Branch]:
        """Return the branches to watch in training, by name."""
        raise NotImplementedError

    def is_pretrained(self, name: str) -> bool:
        """Tell whether the parameter of this name is initialised from ImageNet."""
        return name.startswith("backbone.")

    def freeze(self, parts: Iterable[str]) -> None:
        """Freeze the weights and statistics of parts.

        Args:
            parts: names of `named_modules`, or patterns such as `*._bn?`, the norms of EfficientNet.

        Raises:
            ConfigError: if a part does not exist, or nothing is left to train.
        """
        for name in parts:
            found = [part for path, part in self.named_modules() if path and fnmatchcase(path, name)]
            if not found:
                raise ConfigError(f"optimizer.frozen: the network has no part {name!r}")
            self._frozen.extend(part.requires_grad_(False) for part in found)
        if not any(weight.requires_grad for weight in self.parameters()):
            raise ConfigError("optimizer.frozen: freezes all weights, so there is nothing to train")
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all parts that are not frozen."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    @property
    def imagenet_file(self) -> str | None:
        """Name of the published file of the backbone's ImageNet weights; None without such a backbone."""
        return getattr(getattr(self, "backbone", None), "imagenet_file", None)

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Load the state dict of the backbone's published ImageNet checkpoint."""
        self.get_submodule("backbone").load_imagenet(state)  # type: ignore[operator]

    def frame(self, images: Tensor) -> Tensor:
        """Normalise images (B, 3, H, W), and pad with zeros right and below to multiples of `alignment`."""
        return self.pad((images - self.mean) / self.std)

    def pad(self, images: Tensor, border: int = 0, value: float = 0.0) -> Tensor:
        """Pad right and below to multiples of `alignment`, and then by a border of pixels on all sides."""
        height, width = images.shape[-2:]
        # Only non-negative operands: ONNX rounds integer division towards zero and not down.
        unit = self.alignment
        right, below = ((side + unit - 1) // unit * unit - side for side in (width, height))
        sides = (border, right + border, border, below + border)
        return nn.functional.pad(images, sides, value=value)
