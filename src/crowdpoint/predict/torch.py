"""Run networks with torch, from a checkpoint or during training."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from crowdpoint import checkpoint, zoo
from crowdpoint.backbones.framing import ImageModel
from crowdpoint.backbones.imagenet import load_strictly
from crowdpoint.errors import ModelError
from crowdpoint.methods import METHODS
from crowdpoint.points import FloatArray
from crowdpoint.predict.engine import ModelInfo, thread_count
from crowdpoint.recipe import DataConfig, ModelConfig, Recipe
from crowdpoint.version import __version__
from crowdpoint.zoo import DeviceName, PrecisionName

AUTOCAST = {"fp16": torch.float16, "bf16": torch.bfloat16}
"""Element type of convolutions by the name of a precision below fp32."""


class TorchEngine:
    """A network that is ready to run.

    Args:
        network: the network on its device; runs in evaluation mode, and keeps its mode otherwise.
        info: description of the model.
        precision: number format of convolutions. Coordinates and scores are always fp32.
        threads: CPU threads of a run; as many as torch is set to by default.
    """

    def __init__(
        self,
        network: ImageModel,
        info: ModelInfo,
        precision: PrecisionName = "fp32",
        threads: int | None = None,
    ) -> None:
        self._network = network
        self._threads = None if threads is None else thread_count(threads)
        self.info = info
        self._names = info.method.outputs(info.config)
        self.device: DeviceName = "cuda" if network.mean.is_cuda else "cpu"
        self.precision = precision

    @classmethod
    def load(
        cls,
        folder: Path,
        threads: int | None = None,
        device: DeviceName | None = None,
        precision: PrecisionName | None = None,
    ) -> "TorchEngine":
        """Load the network of a checkpoint folder; other arguments and errors as `Predictor.load`."""
        network, recipe = load_network(folder)
        return cls.place(network, recipe, zoo.name_weights(folder), threads, device, precision)

    @classmethod
    def place(
        cls,
        network: ImageModel,
        recipe: Recipe,
        name: str,
        threads: int | None = None,
        device: DeviceName | None = None,
        precision: PrecisionName | None = None,
    ) -> "TorchEngine":
        """Move a network to its device, and describe it; other arguments and errors as `load`."""
        gpu = torch.cuda.is_available()
        if device == "cuda" and not gpu:
            raise ModelError(
                f"{name}: expected a GPU for the device cuda, found none that torch {torch.__version__} can "
                "use; choose cpu, or install a CUDA build of torch"
            )
        if device is None:
            device = "cuda" if gpu else "cpu"
        if precision is None:
            halved = device == "cuda" and METHODS[recipe.model.method].half_precision
            precision = "fp16" if halved else "fp32"
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(network, describe(network, recipe, name), precision, threads)

    @torch.inference_mode()
    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        """Compute the float32 outputs by name for images (B, 3, H, W), float32 RGB in [0, 255]."""
        with (
            _use_evaluation_mode(self._network),
            _use_precision(self.device, self.precision),
            _use_threads(self._threads),
        ):
            outputs = self._network(torch.from_numpy(images).to(self._network.mean.device))
        parts = outputs if isinstance(outputs, tuple) else (outputs,)
        return {name: part.cpu().numpy() for name, part in zip(self._names, parts, strict=True)}


def build(config: ModelConfig) -> ImageModel:
    """Build the network of a configuration, with fresh weights."""
    return METHODS[config.method].network(config)


def load_network(folder: Path) -> tuple[ImageModel, Recipe]:
    """Load the network of a checkpoint, in evaluation mode, and its recipe; errors as `checkpoint.load`."""
    with _use_default_tensors():
        weights, recipe = checkpoint.load(folder)
        network = build(recipe.model)
        load_strictly(network, weights, f"{folder}: the weights of a checkpoint with this configuration")
    return network.eval(), recipe


def describe(network: ImageModel, recipe: Recipe, name: str) -> ModelInfo:
    """Describe a model by its network and its recipe."""
    return ModelInfo(
        name=name,
        config=recipe.model,
        training_data=", ".join(data.label for data in recipe.data),
        crowdpoint_version=__version__,
        protocol=recipe.run.protocol,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs_per_pixel=_count_macs_per_pixel(network),
        max_sides=_list_max_sides(recipe.data),
    )


def _list_max_sides(parts: Sequence[DataConfig]) -> dict[str, int]:
    """List limits by label, and under `folder` that of all folders, since `evaluate` knows only that name."""
    limits = {part.label: part.max_side for part in parts}
    shared = {part.max_side for part in parts if part.name == "folder"}
    if len(shared) == 1:
        limits["folder"] = shared.pop()
    return {label: side for label, side in limits.items() if side}


@torch.no_grad()
def _count_macs_per_pixel(network: ImageModel) -> float:
    """Count the multiply-accumulate operations of the convolutions, on an image without padding."""
    macs = 0  # counted by hooks, because torch's own counter takes a second to import

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        elements = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        macs += elements.numel() * layer.weight[0].numel()  # type: ignore[index]

    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, kinds)]
    side = network.alignment
    with _use_evaluation_mode(network):
        network(torch.zeros(1, 3, side, side, device=network.mean.device, dtype=torch.float32))
    for hook in hooks:
        hook.remove()
    return macs / side**2


@contextmanager
def _use_default_tensors() -> Iterator[None]:
    """Create tensors on the CPU in fp32, whatever the program has set, and keep its random numbers."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _use_precision(device: str, precision: PrecisionName) -> Iterator[None]:
    """Compute convolutions in a number format; in fp32, without the rounding of GPUs to TF32."""
    with ExitStack() as stack:
        # In fp32, this disables what the program may have enabled.
        stack.enter_context(torch.autocast(device, AUTOCAST.get(precision), enabled=precision != "fp32"))
        if precision == "fp32" and device == "cuda":
            cudnn = torch.backends.cudnn
            stack.enter_context(
                cudnn.flags(True, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False)
            )
        yield


@contextmanager
def _use_threads(threads: int | None) -> Iterator[None]:
    """Set the number of torch's CPU threads, which the whole process shares."""
    before = torch.get_num_threads()
    if threads in (None, before):
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _use_evaluation_mode(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
