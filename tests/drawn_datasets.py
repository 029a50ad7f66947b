"""Small instances of the datasets, drawn, each in the exact layout of its authors."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.io import savemat

SIZE = (60, 40)
HEADS = [[30.5, 5.5], [10.5, 20.5], [59.5, 39.5]]
PIXELS = [[30, 5], [10, 20], [59, 39]]
"""The columns and rows of the pixels around `HEADS`, for files that count pixels."""
BOXES = [[29, 3, 32, 8], [8, 16, 13, 25], [57, 36, 60, 40]]


def draw_image(path: Path) -> None:
    """Noise that differs from file to file."""
    rng = np.random.default_rng(zlib.crc32(str(path).encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)).save(path)


def save_mat(path: Path, **variables: npt.ArrayLike) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {name: np.asarray(value) for name, value in variables.items()})


def save_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def save_shanghaitech(path: Path, heads: npt.ArrayLike, count: object = 1) -> None:
    cell = np.empty((1, 1), object)
    cell[0, 0] = {"location": np.asarray(heads, np.float64), "number": count}
    save_mat(path, image_info=cell)


def shanghaitech(root: Path, part: str = "part_A") -> None:
    for split, numbers in (("train", (1, 2, 10)), ("test", (1, 2))):
        folder = root / part / f"{split}_data"
        for number in numbers:
            draw_image(folder / "images" / f"IMG_{number}.jpg")
            save_shanghaitech(folder / "ground-truth" / f"GT_IMG_{number}.mat", HEADS, len(HEADS))


def ucf_cc_50(root: Path) -> None:
    for number in range(1, 6):
        draw_image(root / f"{number}.jpg")
        save_mat(root / f"{number}_ann.mat", annPoints=HEADS)


def ucf_qnrf(root: Path) -> None:
    for split, count in (("Train", 3), ("Test", 2)):
        for number in range(1, count + 1):
            draw_image(root / split / f"img_{number:04}.jpg")
            save_mat(root / split / f"img_{number:04}_ann.mat", annPoints=HEADS)


def jhu_crowd(root: Path) -> None:
    """The second image of each split shows nobody."""
    lines = "".join(f"{x} {y} 4 6 {1 + i} {i % 2}\n" for i, (x, y) in enumerate(PIXELS))
    for split, first in (("train", 1), ("val", 4), ("test", 7)):
        labels = ""
        for number in (first, first + 1):
            crowded = number == first
            draw_image(root / split / "images" / f"{number:04}.jpg")
            save_text(root / split / "gt" / f"{number:04}.txt", lines if crowded else "")
            labels += f"{number:04},{len(HEADS) * crowded},{'stadium' if crowded else 'street, wet'},2,0\n"
        save_text(root / split / "image_labels.txt", labels)


def nwpu_crowd(root: Path, annotations: str = "jsons") -> None:
    """The second image of each split shows nobody."""
    for split, first in (("train", 1), ("val", 4), ("test", 7)):
        for number in (first, first + 1):
            draw_image(root / "images" / f"{number:04}.jpg")
            if split != "test":
                crowded = number == first
                heads, boxes = (HEADS, BOXES) if crowded else ([], [])
                save_nwpu(root / annotations / f"{number:04}.{annotations[:-1]}", heads, boxes)
        save_text(root / f"{split}.txt", f"{first:04} 2 1\n{first + 1:04} 0 0\n")


def save_nwpu(path: Path, heads: npt.ArrayLike, boxes: npt.ArrayLike) -> None:
    if path.suffix == ".mat":
        save_mat(path, annPoints=heads, annBoxes=boxes)
        return
    points = np.asarray(heads).tolist()
    content = {"img_id": f"{path.stem}.jpg", "human_num": len(points), "points": points}
    save_text(path, json.dumps(content | {"boxes": np.asarray(boxes).tolist()}))


def trancos(root: Path) -> None:
    """Vehicles count above row 30."""
    images = root / "images"
    lists = {"training": (1, 2), "validation": (3,), "trainval": (1, 2, 3), "test": (4,)}
    for number in (1, 2, 3, 4):
        name = f"image-1-{number:06}"
        draw_image(images / f"{name}.jpg")
        save_dots(images / f"{name}dots.png", HEADS)
        save_text(images / f"{name}.txt", "".join(f"{x}\t{y}\n" for x, y in PIXELS))
        mask = np.zeros(SIZE[::-1], np.uint8)
        mask[:30] = 1
        save_mat(images / f"{name}mask.mat", BW=mask)
    for split, numbers in lists.items():
        save_text(root / "image_sets" / f"{split}.txt", "".join(f"image-1-{n:06}.jpg\n" for n in numbers))


def save_dots(path: Path, heads: npt.ArrayLike, size: tuple[int, int] = SIZE) -> None:
    """Red dots on the pixels of `heads`."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    columns, rows = np.floor(np.asarray(heads, np.float64)).astype(int).T
    pixels[rows, columns] = 255, 0, 0
    Image.fromarray(pixels).save(path)


def folder(root: Path) -> None:
    for split, names in (("train", "ab"), ("val", "c")):
        for name in names:
            draw_image(root / split / f"{name}.png")
            save_text(root / split / f"{name}.txt", "".join(f"{x} {y}\n\n" for x, y in HEADS))


DRAW: dict[str, Callable[[Path], None]] = {
    "shanghaitech-a": shanghaitech,
    "shanghaitech-b": lambda root: shanghaitech(root, "part_B"),
    "ucf-cc-50": ucf_cc_50,
    "ucf-qnrf": ucf_qnrf,
    "jhu-crowd++": jhu_crowd,
    "nwpu-crowd": nwpu_crowd,
    "trancos": trancos,
    "folder": folder,
}
"""Draws an instance of each dataset into a folder."""
