"""List the named models, and resolve names and paths to files and engines.

Embedded weights are in `weights/`, as NAME.onnx. Those of other models are trained or imported by the user.
"""

import difflib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from crowdpoint.errors import ModelError, requires
from crowdpoint.redaction import redact

WEIGHTS = Path(__file__).parent / "weights"

PREVIOUS = ".old"
"""Ending of the folder of a checkpoint while a new one replaces it."""

HUB = "hf://"
"""Prefix of models on the Hugging Face Hub, such as `hf://user/name`."""

DEFAULT_MODEL = "fidtm-lite"
"""Model of the commands that name none."""

EngineName = Literal["onnx", "openvino", "torch"]
"""Engine of a network: ONNX Runtime, OpenVINO or torch."""

DeviceName = Literal["cpu", "cuda"]
"""Device of a network: the CPU, or an NVIDIA GPU."""

PrecisionName = Literal["fp32", "fp16", "bf16"]
"""Number format of a network's convolutions."""


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A named model."""

    name: str
    method: str
    parameters: int
    """Weights of the network."""
    description: str
    recipe: str
    """The shipped recipe that trains it."""
    overrides: tuple[str, ...] = ()
    """Changes to the recipe, as `--set` takes them."""
    importable: bool = False
    """Whether `crowdpoint import` reads the authors' weights into it."""

    @property
    def path(self) -> Path:
        """File of the embedded weights, if any."""
        return WEIGHTS / f"{self.name}.onnx"

    @property
    def embedded(self) -> bool:
        """Whether the package ships weights."""
        return self.path.is_file()

    @property
    def advice(self) -> str:
        """Instructions to get weights if none are embedded."""
        changes = "".join(f" --set {override}" for override in self.overrides)
        ways = f"train it with `crowdpoint train {self.recipe} --data DIR{changes}`"
        if self.importable:
            command = f"crowdpoint import FILE.pth --as {self.name} --out DIR"
            ways += f" or import the authors' weights with `{command}`"
        return f"{ways}, then give the checkpoint's folder as the model"


_MODELS = (
    NamedModel(
        name="p2pnet-lite",
        method="p2pnet",
        parameters=3_006_853,
        description="P2PNet on EfficientNet-Lite0 features: small, and the faster of the two embedded models",
        recipe="p2pnet-lite-8",
    ),
    NamedModel(
        name="fidtm-lite",
        method="fidtm",
        parameters=3_019_074,
        description="FIDTM on EfficientNet-Lite0 features: small, and better on most photos; the default",
        recipe="fidtm-lite-9",
    ),
    NamedModel(
        name="p2pnet-vgg16",
        method="p2pnet",
        parameters=17_973_072,
        description="P2PNet on VGG16-BN features, the paper's network",
        recipe="p2pnet-shanghaitech-a",
        importable=True,
    ),
    NamedModel(
        name="fidtm-hrnet-w48",
        method="fidtm",
        parameters=66_584_049,
        description="FIDTM on HRNet-W48, the paper's network",
        recipe="fidtm-shanghaitech-a",
        importable=True,
    ),
    *(
        NamedModel(
            name=f"fidtm-{regressor}",
            method="fidtm",
            parameters=parameters,
            description=f"FIDTM on {network}, as in its Table XIV",
            recipe="fidtm-nwpu-crowd",
            overrides=(f"model.regressor={regressor}", "loss.independent_weight=0"),
        )
        for regressor, network, parameters in (
            ("csrnet", "CSRNet", 16_263_489),
            ("csrnet-fpn", "CSRNet with a feature pyramid", 23_081_793),
            ("bl", "the network of BL", 21_499_457),
            ("bl-fpn", "the network of BL with a feature pyramid", 21_828_161),
        )
    ),
)


def list_models() -> tuple[NamedModel, ...]:
    """List the named models, with and without embedded weights."""
    return _MODELS


def find_model(name: str | Path) -> NamedModel | None:
    """Find a model by name; None if there is none, as for every `Path`."""
    return next((model for model in _MODELS if model.name == name), None)


def find_checkpoint(name_or_path: str | Path) -> Path:
    """Find the checkpoint of a model, to train from or to export.

    Returns a folder, or an ONNX file, which `checkpoint.load` accepts if it includes the recipe, as those of
    embedded models and of `crowdpoint export --half` do.

    Raises:
        ModelError: if there is none.
    """
    path = resolve(name_or_path)
    if not path.is_dir() and path.suffix != ".onnx":
        raise ModelError(
            f"{name_or_path}: not a checkpoint; expected a folder with weights.safetensors and config.yaml"
        )
    return path


def list_files(path: Path) -> tuple[Path, ...]:
    """List the files of resolved weights: one, or two for OpenVINO and checkpoints."""
    if path.is_dir():
        return path / "config.yaml", path / "weights.safetensors"
    return (path, path.with_suffix(".bin")) if path.suffix == ".xml" else (path,)


def name_weights(path: Path) -> str:
    """Return the name of resolved weights: that of the folder, or of the file without its extension.

    >>> name_weights(Path("model.onnx"))
    'model'
    """
    path = path.resolve()
    return path.name if path.is_dir() else path.stem


def list_engines(path: Path) -> tuple[EngineName, ...]:
    """List the engines that run resolved weights, the default first."""
    if path.is_dir():
        return ("torch",)
    return ("openvino",) if path.suffix == ".xml" else ("onnx", "openvino")


def resolve(name_or_path: str | Path, engine: EngineName | None = None) -> Path:
    """Resolve a model to an ONNX file, an OpenVINO file or a checkpoint folder.

    Args:
        name_or_path: a name of `list_models`, an `.onnx` or `.xml` file, a checkpoint folder, or a folder
            with one `.onnx` file. A `Path` is never a name. `hf://user/name[@revision]` is downloaded once.
        engine: engine that must be able to run it; any by default.

    Raises:
        ModelError: if there are no weights, no such name or path, or `engine` cannot run them.
        MissingExtraError: if it is on the Hub and the extra `hub` is not installed.
        ValueError: if there is no such engine.
    """
    if engine is not None and engine not in get_args(EngineName):
        raise ValueError(f"engine: expected one of {', '.join(get_args(EngineName))}, found {engine!r}")
    if model := find_model(name_or_path):
        if not model.embedded:
            raise ModelError(f"{model.name}: no weights are embedded; {model.advice}")
        return model.path
    path = _require_weights(_download(name_or_path) if str(name_or_path).startswith(HUB) else name_or_path)
    if engine is not None and engine not in list_engines(path):
        found = "a checkpoint folder" if path.is_dir() else f"an {path.suffix} file"
        raise ModelError(f"{path}: {found}, but {_advise(path, engine)}")
    return path


def _download(name: str | Path) -> Path:
    with requires(f"{name}: the Hugging Face Hub", "hub"):
        from huggingface_hub import snapshot_download
    repository, _, revision = str(name).removeprefix(HUB).partition("@")
    wanted = ["*.onnx", "config.yaml", "weights.safetensors"]
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=wanted))
    except (OSError, ValueError) as error:  # huggingface_hub's own are kinds of these
        reason = redact(str(error).strip().partition("\n")[0], str(name))
        raise ModelError(f"{redact(str(name))}: cannot be downloaded: {reason}") from error


def _require_weights(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".onnx", ".xml") and path.is_file():
        return path
    before = path.with_name(f"{path.name}{PREVIOUS}")
    if not path.exists() and before.is_dir():  # a run was killed as it replaced its checkpoint
        return before
    if path.is_dir():
        if all(file.is_file() for file in list_files(path)):
            return path
        graphs = list(path.glob("*.onnx"))
        if len(graphs) == 1:
            return graphs[0]
        raise ModelError(
            f"{path}: not a checkpoint; expected a folder with weights.safetensors and config.yaml, "
            "or with one .onnx file"
        )
    if path.exists():
        raise ModelError(f"{path}: not a model; expected an .onnx or .xml file, or a checkpoint folder")
    names = [model.name for model in _MODELS]
    close = difflib.get_close_matches(str(name_or_path), names, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known names: {', '.join(names)}"
    raise ModelError(f"{name_or_path}: no such model, file or folder; {hint}")


def _advise(path: Path, engine: EngineName) -> str:
    if engine == "torch":
        return "torch runs checkpoints; give the checkpoint folder that the file was exported from"
    suffix = ".onnx" if engine == "onnx" else ".xml"
    folder = shlex.quote(str(path)) if path.is_dir() else "CHECKPOINT"
    command = f"crowdpoint export {folder} --to {engine} --out model{suffix}"
    return f"{engine} runs {suffix} files; write one with `{command}`"
