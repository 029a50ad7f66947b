"""Options that several commands have, each described once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from crowdpoint.predict.engine import DeviceName, PrecisionName
from crowdpoint.predict.predictor import Scale
from crowdpoint.zoo import EngineName

MODEL_HELP = "A name from `crowdpoint models`, an .onnx or .xml file, a checkpoint folder, or hf://USER/NAME."

ModelOption = Annotated[str, typer.Option("--model", help=MODEL_HELP)]
"""`--model`, for the commands that run one model."""

EngineOption = Annotated[
    EngineName | None,
    typer.Option("--engine", help="What runs the network. [default: onnx, or what the model is made for]"),
]
"""`--engine`, for every command that runs a model."""

DeviceOption = Annotated[
    DeviceName | None,
    typer.Option("--device", help="Where torch runs the network. [default: the GPU if there is one]"),
]
"""`--device`, for the commands that measure a model."""

PrecisionOption = Annotated[
    PrecisionName | None,
    typer.Option(
        "--precision",
        help="Number format in which torch computes convolutions. [default: fp32; fp16 for P2PNet on a GPU]",
    ),
]
"""`--precision`, for the commands that measure a model."""

ThresholdOption = Annotated[
    float | None,
    typer.Option("--threshold", min=0, max=1, help="Least score of a point; the model's own by default."),
]
"""`--threshold`, for every command that selects points."""


def parse_scale(value: str) -> Scale:
    """Read the value of `--scale`.

    Raises:
        BadParameter: if it is neither `auto` nor a factor above 0.
    """
    try:
        factor = None if value == "auto" else float(value)
    except ValueError:
        factor = -1
    if factor is None:
        return "auto"
    if not 0 < factor < float("inf"):
        raise typer.BadParameter(f"expected auto or a factor above 0, found {value}")
    return factor


ScaleOption = Annotated[
    Any,
    typer.Option(
        "--scale",
        metavar="FACTOR|auto",
        parser=parse_scale,
        help="Resize images by this factor for the network; auto follows the sizes of the heads, for models "
        "that predict them. Points stay in the image's pixels.",
    ),
]
"""`--scale`, a `Scale`, for the commands that predict images; Typer knows no such union."""

MaxSideOption = Annotated[
    int | None,
    typer.Option("--max-side", min=1, help="Shrink longer images to this many pixels on the long side."),
]
"""`--max-side`, for the commands that predict images."""

TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", min=0.001, help="Seconds that one image may take; longer ones fail."),
]
"""`--timeout`, for the commands that predict images."""

AllowVrtOption = Annotated[
    bool, typer.Option("--allow-vrt", help="Read virtual rasters, which show what is in other files.")
]
"""`--allow-vrt`, for the commands that predict images."""

SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change how points are found, such as kernel=5."),
]
"""`--set`, for the commands in which points can be found in another way."""

ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads; every core by default.")
]
"""`--threads`, for the commands that predict in one process."""

JsonLinesOption = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
"""`--json`, for the commands that print a line for each image, frame or fault."""

DataOption = Annotated[
    Path,
    typer.Option(
        "--data", help="The dataset's folder, as its authors distribute it.", exists=True, file_okay=False
    ),
]
"""`--data`, for the commands that read one dataset."""

DatasetOption = Annotated[str, typer.Option("--dataset", help="Its name, such as shanghaitech-a.")]
"""`--dataset`, for the commands that read one dataset."""

OverridesOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override, such as run.steps=100.")
]
"""`--set`, for the commands that train."""

StartOption = Annotated[
    str | None,
    typer.Option("--from", metavar="MODEL", help="Start from the weights of a model or checkpoint."),
]
"""`--from`, for the commands that train."""

BackboneWeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--backbone-weights",
        help="The backbone's ImageNet checkpoint: torchvision's of VGG16 or VGG19, or HRNet's official one; "
        "or a folder that has it under its published name.",
    ),
]
"""`--backbone-weights`, for the commands that train."""


class Accelerator(StrEnum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    @property
    def device(self) -> DeviceName | None:
        """Where to evaluate what was trained; None for the GPU if there is one."""
        if self == Accelerator.AUTO:
            return None
        return "cuda" if self == Accelerator.CUDA else "cpu"


AcceleratorOption = Annotated[Accelerator, typer.Option("--accelerator", help="What to train on.")]
"""`--accelerator`, for the commands that train, and evaluate what they have trained on the same."""
