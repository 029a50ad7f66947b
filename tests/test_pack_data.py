"""Pack a recipe's data for a machine that little can be copied to."""

from pathlib import Path

import numpy as np
import pack_data
import pytest
from tiny_runs import TINY, write_folder, write_shanghaitech

from crowdpoint import images
from crowdpoint.config import load_recipe
from crowdpoint.errors import DatasetError
from crowdpoint.recipe import Recipe
from crowdpoint.train.data import split

MIB = 2**20


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    write_shanghaitech(tmp_path / "ShanghaiTech", images=40)
    return load_recipe("p2pnet-lite", [*TINY, "data=[{name: shanghaitech-a, path: ShanghaiTech}]"])


def test_the_packed_recipe_has_the_same_images_shrunk_with_their_points(
    recipe: Recipe, tmp_path: Path
) -> None:
    packed = pack_data.pack(recipe, tmp_path, tmp_path / "packed", MIB, max_side=60, quality=90, held_out=99)
    assert load_recipe(tmp_path / "packed" / "recipe.yaml") == packed
    before = split(recipe.data[0], tmp_path, recipe.run)
    after = split(packed.data[0], tmp_path / "packed", recipe.run)
    for originals, copies in zip(before, after, strict=True):
        assert [sample.name for sample in copies] == [sample.name for sample in originals]
        for original, copy in zip(originals, copies, strict=True):
            assert images.read_size(copy.image) == (60, 50)
            np.testing.assert_allclose(copy.points().xy, original.points().xy / 2, atol=1e-3)


def test_images_stop_at_the_size(recipe: Recipe, tmp_path: Path) -> None:
    pack_data.pack(recipe, tmp_path, tmp_path / "all", MIB, max_side=120, quality=90, held_out=1)
    size = _bytes(tmp_path / "all")
    pack_data.pack(recipe, tmp_path, tmp_path / "part", int(0.7 * size), max_side=120, quality=90, held_out=1)
    assert size / 3 < _bytes(tmp_path / "part") <= 0.7 * size


def test_a_size_without_room_for_an_image_is_an_error(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="--mib"):
        pack_data.pack(recipe, tmp_path, tmp_path / "packed", 100, max_side=120, quality=90, held_out=1)


def test_a_part_that_wants_less_leaves_the_rest_to_the_others() -> None:
    assert pack_data.shares([10, 100, 100], [1, 1, 2], 100) == [10, 30, 60]
    assert pack_data.shares([10, 20], [1, 1], 100) == [10, 20]


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "1-shanghaitech-a" / "train").glob("*.avif"))


def test_folders_of_images_are_kept(tmp_path: Path) -> None:
    write_folder(tmp_path / "crowds" / "evening", images=12)
    (tmp_path / "crowds" / "evening" / "heads.json").rename(tmp_path / "crowds" / "heads.json")
    recipe = load_recipe("p2pnet-lite", [*TINY, "data=[{name: folder, path: crowds}]"])
    packed = pack_data.pack(recipe, tmp_path, tmp_path / "packed", MIB, max_side=120, quality=90, held_out=1)
    kept, _ = split(packed.data[0], tmp_path / "packed", recipe.run)
    assert all(sample.name.startswith("evening/photo-") for sample in kept)
