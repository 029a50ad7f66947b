"""Puts a trained checkpoint into the package: an ONNX file to run and a checkpoint to train on from.

    python scripts/embed_model.py runs/p2pnet-lite/best p2pnet-lite

Both hold the weights in half precision, rounded alike, so that they agree.
"""

import argparse
from pathlib import Path

from crowdpoint.export import export_onnx
from crowdpoint.train import checkpoint
from crowdpoint.zoo import WEIGHTS


def embed(folder: Path, name: str) -> None:
    """Writes `weights/NAME.onnx` and `weights/NAME` from a checkpoint folder."""
    weights, recipe = checkpoint.load(folder)
    halved = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in weights.items()}
    checkpoint.save(WEIGHTS / name, halved, recipe)
    export_onnx(WEIGHTS / name, WEIGHTS / f"{name}.onnx", name=name, half=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("name")
    arguments = parser.parse_args()
    embed(arguments.checkpoint, arguments.name)
