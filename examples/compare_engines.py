"""Compare the installed engines: `python examples/compare_engines.py photo.jpg`.

ONNX Runtime is always installed. `pip install '.[openvino]'` adds OpenVINO, `pip install '.[train]'` torch.
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
    """Print the count and the time of each engine, or why it is skipped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="image file")
    parser.add_argument("--runs", type=int, default=5, help="timed runs (%(default)s)")
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    photo = images.read(arguments.photo)
    for engine in get_args(EngineName):
        try:
            predictor = crowdpoint.load(arguments.model, engine=engine)
        except (MissingExtraError, ModelError) as error:
            print(f"{engine}: left out: {error}")
            continue
        points = predictor.predict(photo)  # warm up: the first run takes longer
        begin = time.perf_counter()
        for _ in range(arguments.runs):
            predictor.predict(photo)
        seconds = (time.perf_counter() - begin) / arguments.runs
        print(f"{engine}: {len(points)} people in {1000 * seconds:.0f} ms")


if __name__ == "__main__":
    main()
