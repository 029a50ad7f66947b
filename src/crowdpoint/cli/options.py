"""Options that several commands share."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import typer

from crowdpoint import formats, zoo
from crowdpoint.errors import requires
from crowdpoint.zoo import DeviceName, EngineName, PrecisionName

MODEL_HELP = "Name from `crowdpoint models`, .onnx or .xml file, checkpoint folder, or hf://USER/NAME."

CHECKPOINT_HELP = "Name of an embedded model, checkpoint folder, or hf://USER/NAME of one."

Model = Annotated[str, typer.Option("--model", help=MODEL_HELP)]

Precision = Annotated[
    PrecisionName | None,
    typer.Option(
        "--precision",
        help="Number format in which torch computes convolutions. [default: fp32; fp16 for P2PNet on a GPU]",
    ),
]


def parse_scale(value: str) -> float | Literal["auto"]:
    """Read the value of `--scale`."""
    if value == "auto":
        return "auto"
    try:
        factor = float(value)
    except ValueError:
        factor = -1
    if not 0 < factor < float("inf"):
        raise typer.BadParameter(f"expected auto or a factor above 0, found {value}")
    return factor


def require_finite(value: float | None) -> float | None:
    """Refuse infinity and NaN as the value of an option, which ranges accept."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"expected a finite number, found {value}")
    return value


class Running(TypedDict):
    """Arguments of `Predictor.load` that choose how to run the network."""

    engine: Annotated[
        EngineName | None,
        typer.Option(help="Engine that runs the network. [default: onnx, or by the file]"),
    ]
    device: Annotated[
        DeviceName | None,
        typer.Option(help="Where torch runs the network. [default: the GPU if there is one]"),
    ]
    precision: Precision


class Predicting(Running):
    """Also the working scale, and those that choose the points."""

    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Minimum score of a point. [default: the model's]")
    ]
    overrides: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the decoder, such as kernel=5."),
    ]
    max_side: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Shrink images to at most this many pixels on the long side; without the passes of "
            "`--scale auto`.",
        ),
    ]
    scale: Annotated[
        Any,
        typer.Option(
            metavar="FACTOR|auto",
            parser=parse_scale,
            help="Resize images by this factor for the network; auto chooses it by the predicted head sizes, "
            "if the model predicts them. Points are in pixels of the original image.",
        ),
    ]


Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.001,
        callback=require_finite,
        help="Time limit in seconds for one image, which fails beyond it.",
    ),
]

AllowVrt = Annotated[
    bool, typer.Option("--allow-vrt", help="Read virtual rasters, which refer to other files.")
]


def parse_classes(value: str) -> formats.Classes:
    """Read the value of `--classes`."""
    names = [name.strip() for name in value.split(",")]
    if not all(names):
        raise typer.BadParameter(f"expected names of classes, separated by commas, found {value!r}")
    return formats.Classes(names)


Classes = Annotated[
    Any,
    typer.Option(
        "--classes",
        metavar="NAME,...",
        parser=parse_classes,
        help="Read the annotations of these classes only; all by default.",
    ),
]

Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Number of CPU threads. [default: all cores]")
]

JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]

JsonModels = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line for each model.")]


def require_report(folder: Path | None) -> Path | None:
    """Check before the work that the packages of a report are installed."""
    if folder:
        with requires("a report", "report"):
            from crowdpoint.report import page  # noqa: F401
    return folder


Report = Annotated[
    Path | None,
    typer.Option(
        "--report", callback=require_report, help="Write an HTML report into this folder.", file_okay=False
    ),
]

Data = Annotated[
    Path,
    typer.Option(
        "--data", help="Folder of the dataset, as distributed by its authors.", exists=True, file_okay=False
    ),
]

Dataset = Annotated[str, typer.Option("--dataset", help="Name of the dataset, such as shanghaitech-a.")]

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, such as run.steps=100."),
]

Accelerator = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--accelerator", help="Device to train on.")
]


class Training(TypedDict):
    """Arguments of `train.loop.train` that choose the first weights and the device."""

    weights: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            parser=zoo.find_checkpoint,
            help="Model or checkpoint whose weights to start from.",
        ),
    ]
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            help="ImageNet checkpoint of the backbone: torchvision's VGG16 or VGG19, or the official HRNet; "
            "or a folder that contains it under its published name.",
        ),
    ]
    accelerator: Accelerator
