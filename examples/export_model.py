"""Export a P2PNet to ONNX and run it: `python examples/export_model.py runs/mine/best photo.jpg`.

Needs `pip install '.[train]'` to export; the file needs only ONNX Runtime to run.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime

import crowdpoint
from crowdpoint import images
from crowdpoint.export import export_onnx


def main() -> None:
    """Export the model, and count a photo alike with crowdpoint and with ONNX Runtime alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="checkpoint folder")
    parser.add_argument("photo", type=Path, help="image file")
    parser.add_argument("--out", type=Path, default="model.onnx", help="file to write (%(default)s)")
    arguments = parser.parse_args()

    export_onnx(arguments.checkpoint, arguments.out)  # fails if the file computes something else
    print(f"wrote {arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB")

    photo = images.read(arguments.photo)
    plain = crowdpoint.load(arguments.out, scale=1, overrides=["radius=0"])  # one pass, scores as they are
    print(f"crowdpoint: {len(plain.predict(photo))} people")

    network = onnxruntime.InferenceSession(arguments.out, providers=["CPUExecutionProvider"])
    batch = photo.transpose(2, 0, 1)[None].astype(np.float32)  # (1, 3, H, W), RGB from 0 to 255
    points, scores = network.run(["points", "scores"], {"images": batch})  # (1, M, 2) and (1, M)
    config = json.loads(network.get_modelmeta().custom_metadata_map["config"])
    heads = points[0, scores[0] >= config["threshold"]]
    print(f"ONNX Runtime: {len(heads)} people")


if __name__ == "__main__":
    main()
