"""The torch twin of the ONNX engine: runs a network from a checkpoint, or one that is being trained."""

from pathlib import Path

import torch

from crowdpoint.config import ModelConfig, Recipe
from crowdpoint.nn.imagenet import load_strictly
from crowdpoint.nn.p2pnet import P2PNet
from crowdpoint.points import FloatArray
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.train import checkpoint
from crowdpoint.version import __version__


class TorchEngine:
    """A network that is ready to run.

    Args:
        network: the network; it is used where and as it is, in evaluation mode during a run.
        info: what the model is.
    """

    def __init__(self, network: P2PNet, info: ModelInfo) -> None:
        self._network = network
        self.info = info

    @classmethod
    def load(cls, folder: Path, threads: int | None = None) -> "TorchEngine":
        """The network of a checkpoint, on the GPU if there is one.

        Raises:
            ModelError: if the checkpoint is incomplete or its weights do not fit its configuration.
            ConfigError: if its configuration is not valid.
        """
        if threads:
            torch.set_num_threads(threads)
        network, recipe = load_network(folder)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(network, describe(network, recipe, folder.resolve().name))

    @torch.inference_mode()
    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        """Named outputs for images (B, 3, H, W), float32 RGB in [0, 255]."""
        training = self._network.training
        self._network.eval()
        points, scores = self._network(torch.from_numpy(images).to(self._network.mean.device))
        self._network.train(training)
        return {"points": points.cpu().numpy(), "scores": scores.cpu().numpy()}


def build(config: ModelConfig) -> P2PNet:
    """The network of a configuration, with fresh weights."""
    return P2PNet(config)


def load_network(folder: Path) -> tuple[P2PNet, Recipe]:
    """The network of a checkpoint with its weights, in evaluation mode, and the recipe that made it.

    Raises:
        ModelError: if the checkpoint is incomplete or its weights do not fit its configuration.
        ConfigError: if its configuration is not valid.
    """
    weights, recipe = checkpoint.load(folder)
    network = build(recipe.model)
    load_strictly(network, weights, f"{folder}: the weights of a checkpoint with this configuration")
    return network.eval(), recipe


def describe(network: P2PNet, recipe: Recipe, name: str) -> ModelInfo:
    """What a network and its recipe say of the model, under the name `name`."""
    return ModelInfo(
        method=recipe.model.method,
        name=name,
        stride=recipe.model.stride,
        threshold=recipe.model.threshold,
        training_data=", ".join(data.name for data in recipe.data),
        crowdpoint_version=__version__,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )
