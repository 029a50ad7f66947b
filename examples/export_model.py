"""Makes an ONNX file of a P2PNet and runs it: `python examples/export_model.py runs/mine/best photo.jpg`.

Needs `pip install '.[train]'` to write the file; to run it, ONNX Runtime alone is enough.
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
    """Writes the file and counts a photo with it twice: by crowdpoint, and without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder that training left")
    parser.add_argument("photo", type=Path, help="image file")
    parser.add_argument("--out", type=Path, default="model.onnx", help="file to write (%(default)s)")
    arguments = parser.parse_args()

    export_onnx(arguments.checkpoint, arguments.out)  # checks that it computes what the network does
    print(f"wrote {arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB")

    photo = images.read(arguments.photo)
    print(f"by crowdpoint: {len(crowdpoint.load(arguments.out).predict(photo))} people")

    network = onnxruntime.InferenceSession(arguments.out, providers=["CPUExecutionProvider"])
    batch = photo.transpose(2, 0, 1)[None].astype(np.float32)  # (1, 3, H, W), RGB from 0 to 255
    points, scores = network.run(["points", "scores"], {"images": batch})  # (1, M, 2) and (1, M)
    config = json.loads(network.get_modelmeta().custom_metadata_map["config"])
    heads = points[0, scores[0] >= config["threshold"]]
    print(f"by ONNX Runtime: {len(heads)} people")


if __name__ == "__main__":
    main()
