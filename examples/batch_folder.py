"""Count people in a large folder on every core, to Parquet: `python examples/batch_folder.py photos counted`.

Needs `pip install '.[batch]'`. Repeat the command to resume an interrupted run.
"""

import argparse
from contextlib import closing
from pathlib import Path

from pyarrow import parquet

from crowdpoint.batch.inputs import collect
from crowdpoint.batch.local import predict_locally
from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.plan import Plan
from crowdpoint.batch.store import Store
from crowdpoint.predict.engine import cores


def main() -> None:
    """Write one row per photo, and print the most crowded ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="folder of photos, searched recursively")
    parser.add_argument("out", type=Path, help="folder for the tables")
    parser.add_argument("--workers", type=int, default=cores(), help="number of processes (%(default)s)")
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    model = PortableModel.inspect(arguments.model)
    store = Store(str(arguments.out), model)
    plan = Plan.compare(collect([arguments.folder]).images, store)
    print(f"{len(plan.images)} of {plan.total} photos are left to do")

    chunks = plan.chunks(256, arguments.workers)  # each becomes one file of a table
    with closing(predict_locally(chunks, model, arguments.workers, lambda _: None)) as parts:
        for part in parts:
            store.write(part)  # from now on, a repeated run skips these photos
            print(f"{part.predicted} photos with {part.people} people, {part.failed} failed")

    if not any((arguments.out / "points").iterdir()):
        parser.error(f"{arguments.folder}: no photo could be counted")
    counts = parquet.read_table(arguments.out / "points", columns=["image", "count"])
    print(f"the most crowded of {counts.num_rows}:")
    for row in counts.sort_by([("count", "descending")]).slice(0, 5).to_pylist():
        print(f"  {row['count']} on {row['image']}")


if __name__ == "__main__":
    main()
