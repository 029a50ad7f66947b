"""Browse the people in a folder of photos in FiftyOne: `python examples/browse_fiftyone.py photos`.

Needs `pip install '.[fiftyone]'`. The app counts, selects and tags people one by one.
"""

import argparse
from pathlib import Path

import fiftyone as fo

import crowdpoint
from crowdpoint.integrations.fiftyone import to_keypoints


def main() -> None:
    """Make a dataset with one keypoint per person, and open the app until it is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of photos, searched recursively")
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    predictor = crowdpoint.load(arguments.model)
    dataset = fo.Dataset.from_images_dir(str(arguments.folder))
    for sample in dataset.iter_samples(autosave=True):
        sample["people"] = to_keypoints(predictor.predict(sample.filepath))
    print(f"{dataset.count('people.keypoints')} people on {len(dataset)} photos")
    fo.launch_app(dataset).wait()


if __name__ == "__main__":
    main()
