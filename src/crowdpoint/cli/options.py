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
