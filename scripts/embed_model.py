"""Put a trained checkpoint into the package, as one ONNX file to run and to train on from.

    python scripts/embed_model.py runs/p2pnet-lite/best p2pnet-lite

The file holds the weights in half precision.
"""

import argparse
from pathlib import Path

from crowdpoint.export import export_onnx
from crowdpoint.zoo import WEIGHTS

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("name")
    arguments = parser.parse_args()
    export_onnx(arguments.checkpoint, WEIGHTS / f"{arguments.name}.onnx", name=arguments.name, half=True)
