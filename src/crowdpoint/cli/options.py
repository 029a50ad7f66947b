"""Options that several commands have, each described once."""

from typing import Annotated

import typer

from crowdpoint.zoo import EngineName

MODEL_HELP = "A name from `crowdpoint models`, an .onnx or .xml file, or a checkpoint folder."

ModelOption = Annotated[str, typer.Option("--model", help=MODEL_HELP)]
"""`--model`, for the commands that run one model."""

EngineOption = Annotated[
    EngineName | None,
    typer.Option("--engine", help="What runs the network. [default: onnx, or what the model is made for]"),
]
"""`--engine`, for every command that runs a model."""

ThresholdOption = Annotated[
    float | None,
    typer.Option("--threshold", min=0, max=1, help="Least score of a point; the model's own by default."),
]
"""`--threshold`, for every command that selects points."""


def _factor(value: float) -> float:
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"expected a factor above 0, found {value}")
    return value


ScaleOption = Annotated[
    float,
    typer.Option(
        "--scale",
        callback=_factor,
        help="Resize images by this factor for the network; points stay in the image's pixels.",
    ),
]
"""`--scale`, for the commands in which the network may see images at another size."""

SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change how points are found, such as kernel=5."),
]
"""`--set`, for the commands in which points can be found in another way."""
