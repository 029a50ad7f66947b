"""Options that several commands have, each described once."""

from typing import TYPE_CHECKING, Annotated

import typer

from crowdpoint.zoo import EngineName

if TYPE_CHECKING:
    from crowdpoint.predict.predictor import Scale

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


def _valid_scale(value: str) -> str:
    working_scale(value)
    return value


ScaleOption = Annotated[
    str,
    typer.Option(
        "--scale",
        metavar="FACTOR|auto",
        callback=_valid_scale,
        help="Resize images by this factor for the network; auto follows the sizes of the heads, for models "
        "that predict them. Points stay in the image's pixels.",
    ),
]
"""`--scale`, for the commands that predict images; `working_scale` reads its value."""

MaxSideOption = Annotated[
    int | None,
    typer.Option("--max-side", min=1, help="Shrink longer images to this many pixels on the long side."),
]
"""`--max-side`, for the commands that predict images."""


def working_scale(value: str) -> "Scale":
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


SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change how points are found, such as kernel=5."),
]
"""`--set`, for the commands in which points can be found in another way."""
