"""Runs a model by every engine that is installed: `python examples/compare_engines.py photo.jpg`.

ONNX Runtime is always there. `pip install '.[openvino]'` brings OpenVINO, and `pip install '.[train]'` torch.
"""

import argparse
import time
from pathlib import Path
from typing import get_args

import crowdpoint
from crowdpoint import images
from crowdpoint.errors import MissingExtraError, ModelError
from crowdpoint.zoo import EngineName


def main() -> None:
    """Prints what each engine finds and how long it takes, or why it is left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="image file")
    parser.add_argument("--runs", type=int, default=5, help="runs to take the time of (%(default)s)")
    parser.add_argument("--model", default="p2pnet-lite", help="a model's name or file (%(default)s)")
    arguments = parser.parse_args()

    photo = images.read(arguments.photo)
    for engine in get_args(EngineName):
        try:
            predictor = crowdpoint.load(arguments.model, engine=engine)
        except (MissingExtraError, ModelError) as error:
            print(f"{engine}: left out: {error}")
            continue
        points = predictor.predict(photo)  # not timed: an engine's first run takes longer
        begin = time.perf_counter()
        for _ in range(arguments.runs):
            predictor.predict(photo)
        seconds = (time.perf_counter() - begin) / arguments.runs
        print(f"{engine}: {len(points)} people in {1000 * seconds:.0f} ms")


if __name__ == "__main__":
    main()
