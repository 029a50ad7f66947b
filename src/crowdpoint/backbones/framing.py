"""What every network does to an image before its first convolution: normalise and pad.

It happens inside the network and its exported graph, so that nobody does it twice or forgets it.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Self

import torch
from torch import Tensor, nn

from crowdpoint.backbones.branches import Branch
from crowdpoint.backbones.imagenet import MEAN, STD
from crowdpoint.errors import ConfigError


class ImageModel(nn.Module):
    """Base of the networks: takes RGB in [0, 255] of any size.

    Mean and standard deviation are non-persistent buffers: they follow the network to a device and into
    its exported graph, but are no part of its weights.
    """

    mean: Tensor
    std: Tensor
    outputs: tuple[str, ...]
    """Names of what `forward` returns, in their order."""

    def __init__(self, alignment: int, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> None:
        """Builds the common part.

        Args:
            alignment: input pixels of the network's deepest stride.
            mean: per channel of RGB, 0-255.
            std: per channel of RGB, 0-255.
        """
        super().__init__()
        self.alignment = alignment
        self._frozen: list[nn.Module] = []
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def raw(self, images: Tensor) -> Any:
        """Predict a NamedTuple of tensors for the method's loss; arguments as `forward`."""
        raise NotImplementedError

    def branches(self) -> dict[str, Branch]:
        """The parts whose activity shows by itself whether they work, by name."""
        raise NotImplementedError

    def is_pretrained(self, name: str) -> bool:
        """Whether the parameter of this name belongs to what starts from ImageNet."""
        return name.startswith("backbone.")

    def freeze(self, parts: Iterable[str]) -> None:
        """Takes parts out of training: their weights and statistics stay.

        Args:
            parts: names as in `named_modules`, or patterns of them: `*._bn?` are the norms of EfficientNet.

        Raises:
            ConfigError: if there is no such part.
        """
        for name in parts:
            found = [part for path, part in self.named_modules() if path and fnmatchcase(path, name)]
            if not found:
                raise ConfigError(f"optimizer.frozen: the network has no part {name!r}")
            self._frozen.extend(part.requires_grad_(False) for part in found)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of everything that is not frozen."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    @property
    def imagenet_file(self) -> str | None:
        """Name of the published file of the backbone's ImageNet weights; None without such a backbone."""
        return getattr(getattr(self, "backbone", None), "imagenet_file", None)

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Loads the backbone's published ImageNet checkpoint, given as its state dict.

        Raises:
            ModelError: if it is another network's.
        """
        self.get_submodule("backbone").load_imagenet(state)  # type: ignore[operator]

    def frame(self, images: Tensor) -> Tensor:
        """Normalises images (B, 3, H, W) and pads them, right and below, to multiples of `alignment`.

        The padding is zero after normalisation, as in the convolutions' own borders. It lets the cells of
        all strides coincide: what a tile shows is what the whole image shows, as far as the receptive
        field reaches.
        """
        height, width = images.shape[-2:]
        # Only non-negative operands: ONNX rounds integer division towards zero and not down.
        unit = self.alignment
        right, below = ((side + unit - 1) // unit * unit - side for side in (width, height))
        return nn.functional.pad((images - self.mean) / self.std, (0, right, 0, below))
