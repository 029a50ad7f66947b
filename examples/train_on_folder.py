"""Fine-tune a small model on your own images: `python examples/train_on_folder.py my-crowds --steps 2000`.

Needs `pip install '.[train]'`. The folder contains images and files of points: see docs/formats.md.
"""

import argparse
from pathlib import Path

import crowdpoint
from crowdpoint import datasets, zoo
from crowdpoint.config import load_recipe
from crowdpoint.train.loop import train


def main() -> None:
    """Train from the embedded weights, and run the best checkpoint on the first image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="images and their points")
    parser.add_argument("--out", type=Path, default="runs/mine", help="folder of the run (%(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="training steps (%(default)s)")
    parser.add_argument(
        "--set", action="append", default=[], help="override the recipe, such as run.images=4"
    )
    parser.add_argument("--accelerator", default="auto", help="auto, cpu or cuda (%(default)s)")
    arguments = parser.parse_args()

    changes = ["data=[{name: folder}]", f"run.steps={arguments.steps}", *arguments.set]
    recipe = load_recipe("p2pnet-lite-8", changes)  # the last stage of the embedded weights
    embedded = zoo.find_checkpoint("p2pnet-lite")
    train(recipe, arguments.folder, arguments.out, weights=embedded, accelerator=arguments.accelerator)

    predictor = crowdpoint.load(arguments.out / "best")
    sample = datasets.load("folder", arguments.folder)[0]
    print(f"{sample.name}: {len(predictor.predict(sample.image))} found, {len(sample.points())} annotated")


if __name__ == "__main__":
    main()
