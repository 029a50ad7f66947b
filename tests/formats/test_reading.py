"""formats: the readers on files as their authors write them, and on broken ones."""

import os
from pathlib import Path

import numpy as np
import pytest
from drawn_datasets import save_shanghaitech
from scipy.io import savemat

from crowdpoint import formats
from crowdpoint.errors import FormatError
from crowdpoint.formats import mat, nwpu, text
from crowdpoint.points import Points


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def xy(points: Points) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in points.xy]


def test_csv_without_the_optional_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "\ufeffy,image,x,note\r\n2,a.jpg,1,hello\r\n4,a.jpg,3,\r\n")
    assert formats.read(path) == {"a.jpg": Points(np.array([[1, 2], [3, 4]]))}


def test_csv_rows_of_an_image_need_not_be_adjacent(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "image,x,y,score\na,1,2,0.5\nb,3,4,1\na,5,6,0.25\n")
    assert formats.read(path) == {
        "a": Points(np.array([[1, 2], [5, 6]]), np.array([0.5, 0.25])),
        "b": Points(np.array([[3, 4]])),
    }


def test_json_defaults(tmp_path: Path) -> None:
    content = '\n{"image": "a", "points": [{"x": 1, "y": 2}], "model": "m"}\n\n{"image": "b", "points": []}\n'
    expected = {"a": Points(np.array([[1, 2]])), "b": Points.empty()}
    assert formats.read(written(tmp_path, "a.jsonl", content)) == expected
    assert formats.read(written(tmp_path, "a.json", content)) == expected


def test_xy(tmp_path: Path) -> None:
    assert xy(formats.read(written(tmp_path, "IMG_1.txt", "1.5 2\n\n3\t4\r\n"))["IMG_1"]) == [
        [1.5, 2],
        [3, 4],
    ]
    assert formats.read(written(tmp_path, "nobody.txt", "")) == {"nobody": Points.empty()}


def test_p2pnet_list(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    written(tmp_path / "train", "1.txt", "1 2\n3 4\n")
    written(tmp_path / "train", "2.txt", "")
    path = written(tmp_path, "train.list", "train/1.jpg train/1.txt\ntrain/2.jpg train/2.txt\n")
    expected = {"train/1.jpg": Points(np.array([[1, 2], [3, 4]])), "train/2.jpg": Points.empty()}
    assert formats.read(path) == expected
    assert formats.read(written(tmp_path, "list.txt", path.read_text())) == expected


@pytest.mark.parametrize("place", ["{outside}/1.txt", "../outside/1.txt", "linked/1.txt", "/dev/zero"])
def test_p2pnet_list_stays_in_its_folder(tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    written(outside, "1.txt", "1 2\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(outside)
    path = written(tmp_path / "data", "a.list", f"1.jpg {place.format(outside=outside)}\n")
    with pytest.raises(FormatError, match=r"a\.list:1: expected a text file below the list's folder, found"):
        formats.read(path)


def test_p2pnet_list_opens_only_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.txt").mkdir()
    for name in ("pipe.txt", "folder.txt"):
        with pytest.raises(FormatError, match=rf"a\.list:1: expected a text file, found {name}"):
            formats.read(written(tmp_path, "a.list", f"1.jpg {name}\n"))


def test_nwpu_predictions(tmp_path: Path) -> None:
    found = formats.read(written(tmp_path, "pred.txt", "3 0\n1 2 10 20 30.5 40\n2 1 5 6\n"))
    assert {image: xy(points) for image, points in found.items()} == {
        "3": [],
        "1": [[10.5, 20.5], [31, 40.5]],
        "2": [[5.5, 6.5]],
    }
    assert list(found) == ["3", "1", "2"]


def test_nwpu_truth(tmp_path: Path) -> None:
    path = written(tmp_path, "gt.txt", "1 0\n2 2 10 20 4 8 1 30 40 2.5 6.25 3\n")
    truth, sigmas = nwpu.read_truth(path)
    assert len(truth["1"]) == len(sigmas["1"]["s"]) == len(sigmas["1"]["l"]) == 0
    assert xy(truth["2"]) == [[10.5, 20.5], [30.5, 40.5]]
    assert sigmas["2"]["s"].tolist() == [4, 2.5]
    assert sigmas["2"]["l"].tolist() == [8, 6.25]
    assert formats.read(path) == truth


def test_mat_files(tmp_path: Path) -> None:
    save_shanghaitech(tmp_path / "GT_IMG_7.mat", [[1.5, 2.0], [30.0, 40.0]])
    savemat(tmp_path / "8_ann.mat", {"annPoints": np.array([[-1.0, 2]])})
    assert {image: xy(points) for image, points in formats.read(tmp_path / "GT_IMG_7.mat").items()} == {
        "IMG_7": [[1.5, 2], [30, 40]]
    }
    assert {image: xy(points) for image, points in formats.read(tmp_path / "8_ann.mat").items()} == {
        "8": [[-1, 2]]
    }
    assert mat.read_shanghaitech(tmp_path / "GT_IMG_7.mat", (50, 60)).image_size == (50, 60)


def test_mat_without_heads(tmp_path: Path) -> None:
    savemat(tmp_path / "8_ann.mat", {"annPoints": np.empty((0, 0))})
    assert mat.read_ucf_cc_50(tmp_path / "8_ann.mat", (5, 6)) == Points.empty((5, 6))


def test_shared_point_files(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "fidtm_points"
    truth, predictions = formats.read(folder / "A_gt.txt"), formats.read(folder / "A_pred_fidt.txt")
    assert len(truth) == 182
    assert truth.keys() == predictions.keys()
    assert len(truth["1"]) == 172
    assert len(predictions["1"]) == 231
    formats.write(tmp_path / "again.txt", predictions, "nwpu")
    again = [line.split() for line in (tmp_path / "again.txt").read_text().splitlines()]
    assert again == [line.split() for line in (folder / "A_pred_fidt.txt").read_text().splitlines()]
    sigmas = nwpu.read_truth(folder / "A_gt.txt")[1]["1"]
    assert (set(sigmas["s"]), set(sigmas["l"])) == ({4}, {8})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv:1: expected a header with image,x,y, found nothing"),
        ("a.csv", "image,x\na,1\n", r"a\.csv:1: expected a header with image,x,y, found image,x"),
        ("a.csv", "image,x,y\na,1,2\na,nan,2\n", r"a\.csv:3: x: expected a finite number, found 'nan'"),
        ("a.csv", "image,x,y\na,1,1e39\n", r"a\.csv:2: y: expected a finite number"),
        ("a.csv", "image,x,y\na,1,\n", r"a\.csv:2: y: expected a finite number, found ''"),
        ("a.csv", "image,x,y\na,1\n", r"a\.csv:2: expected 3 columns"),
        ("a.csv", "image,x,y\na,1,2,3\n", r"a\.csv:2: expected 3 columns"),
        ("a.csv", "image,x,y\n,1,2\n", r"a\.csv:2: image: expected a name"),
        (
            "a.csv",
            "image,x,y,score\na,1,2,1.5\n",
            r"a\.csv:2: score: expected a value in \[0, 1\], found 1.5",
        ),
        (
            "a.csv",
            "image,x,y,width,height\na,1,2,3,4\na,1,2,3,5\n",
            r"a\.csv:3: image a has a different size",
        ),
        ("a.csv", "image,x,y,width,height\na,1,2,3,\n", r"a\.csv:2: height: expected"),
        ("a.csv", "image,x,y,width,height\na,1,2,0,4\n", r"a\.csv:2: expected an image size above 0"),
        ("a.csv", "image,x,y,width,height\na,1,2,1.5,4\n", r"a\.csv:2: width: expected an integer"),
        ("a.csv", "image,x,y,box_width,box_height\na,1,2,3,-4\n", r"a\.csv:2: expected a box size"),
        (
            "a.csv",
            "image,x,y,box_width,box_height\na,1,2,3,4\na,1,2,,\n",
            r"a\.csv:3: expected box_width and",
        ),
        ("a.csv", 'image,x,y\n"a,1,2\n', r"a\.csv:2: unexpected end of data"),
        ("a.csv", b"image,x,y\na,1,2\n\xff,1,2\n", r"a\.csv:3: expected UTF-8 text, found byte 0xff"),
        ("a.json", "{", r"a\.json:1: not JSON"),
        ("a.json", "[\n1,\n", r"a\.json:3: not JSON"),
        ("a.json", "[" * 100_000, r"a\.json:1: not JSON"),
        ("a.json", "[7]", r"a\.json: object 1: expected an object with image"),
        ("a.jsonl", '\n{"image": "a"}\n', r"a\.jsonl:2: expected an object with image \(a text\) and points"),
        (
            "a.jsonl",
            '{"image": "a", "points": [{"x": 1}]}',
            r"a\.jsonl:1: y: expected a finite number, found None",
        ),
        ("a.jsonl", '{"image": "a", "points": [{"x": "1", "y": 2}]}', r"a\.jsonl:1: x: expected a number"),
        (
            "a.jsonl",
            '{"image": "a", "points": [{"x": NaN, "y": 2}]}',
            r"a\.jsonl:1: x: expected a finite number",
        ),
        ("a.jsonl", '{"image": "a", "points": [1]}', r"a\.jsonl:1: expected a point to be an object"),
        ("a.jsonl", '{"image": "a", "points": [{"x": 1, "y": 2, "score": 2}]}', r"a\.jsonl:1: scores"),
        ("a.jsonl", '{"image": "a", "points": [{"x": 1, "y": 2, "box_width": 2}]}', r"jsonl:1: box_height"),
        ("a.jsonl", '{"image": "a", "points": [], "count": 1}', r"a\.jsonl:1: count is 1, but there are 0"),
        ("a.jsonl", '{"image": "a", "points": [], "width": 1}', r"a\.jsonl:1: height: expected"),
        ("a.jsonl", '{"image": "a", "points": []}\n' * 2, r"a\.jsonl:2: duplicate image a"),
        ("a.txt", "1 2\n3 4 5\n", r"a\.txt: cannot detect the format \(none matches\)"),
        ("a.txt", "1 0\n2 0\n", r"a\.txt: cannot detect the format \(xy or nwpu or nwpu-truth\)"),
        ("a.txt", "1 nan\n", r"a\.txt:1: y: expected a finite number, found 'nan'"),
        ("a.list", "a.jpg a.txt b.txt\n", r"a\.list:1: expected an image and its text file, found 3 words"),
        ("a.list", "a.jpg missing.txt\n", r"missing\.txt: no such file"),
        ("pred.txt", "1 1 5 6\n2 2 5 6\n", r"pred\.txt:2: expected 2 numbers for each of 2 points, found 2"),
        (
            "pred.txt",
            "1 1 5 6\n2 -1\n",
            r"pred\.txt:2: number of points: expected an integer of at least 0",
        ),
        ("pred.txt", "1 1 5 6\n2 1.5 5 6\n", r"pred\.txt:2: number of points"),
        ("pred.txt", "1 1 5 6\n2\n", r"pred\.txt:2: number of points"),
        ("pred.txt", "1 1 5 6\n2 1 nan 6\n", r"pred\.txt:2: expected finite numbers"),
        ("pred.txt", "1 1 5 6\n2 1 five 6\n", r"pred\.txt:2: .*five"),
        ("pred.txt", "1 1 5 6\n1 1 5 6\n", r"pred\.txt:2: duplicate image 1"),
        ("pred.txt", b"1 1 5 6\n2 1 \xe9 6\n", r"pred\.txt:2: expected UTF-8 text"),
        ("gt.txt", "1 1 5 6 4 -8 1\n", r"gt\.txt:1: expected sigmas and levels of at least 0"),
        (
            "gt.txt",
            "1 1 5 6 4 8 1\n2 1 5 6\n",
            r"gt\.txt:2: expected 5 numbers for each of 1 points, found 2",
        ),
        ("a.mat", b"", r"a\.mat: cannot be read as a MATLAB file"),
        ("a.mat", b"MATLAB 5.0 MAT-file" + bytes(300), r"a\.mat: "),
        (
            "a.xyz",
            "",
            r"a\.xyz: cannot detect the format \(none matches\); convert .* --from FORMAT, one of csv",
        ),
    ],
)
def test_malformed(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        formats.read(written(tmp_path, name, content))


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.txt", "a.list", "a.mat", "a", "a.xyz"])
@pytest.mark.parametrize("format_", [None, "csv"])
def test_missing(tmp_path: Path, name: str, format_: str | None) -> None:
    with pytest.raises(FormatError, match=rf"{name}: no such file or folder$"):
        formats.read(tmp_path / name, format_)
    (tmp_path / name).mkdir()
    with pytest.raises(FormatError, match=rf"{name}: no point files in this folder"):
        formats.read(tmp_path / name)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"other": 1}, "expected a variable image_info, found none"),
        ({"image_info": np.ones((2, 2))}, r"expected image_info\{1, 1\}\.location, found no struct"),
        ({"image_info": {"place": 1, "number": 2}}, "found the fields place, number"),
    ],
)
def test_wrong_shanghaitech(tmp_path: Path, variables: dict[str, object], message: str) -> None:
    savemat(tmp_path / "a.mat", variables)
    with pytest.raises(FormatError, match=rf"a\.mat: .*{message}"):
        mat.read_shanghaitech(tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1, np.nan]], "finite"),
        ([[1, 1e39]], "finite"),
        ([[1, 2, 3]], "shape"),
        ("text", "could not convert"),
    ],
)
def test_wrong_points_in_mat(tmp_path: Path, points: object, message: str) -> None:
    savemat(tmp_path / "a.mat", {"annPoints": points})
    with pytest.raises(FormatError, match=rf"a\.mat: .*{message}"):
        mat.read_ucf_cc_50(tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("3 -7", [3, -7]),
        ("0012  5 ", [12, 5]),
        ("1.5 -2", [1.5, -2]),
        ("1e3 4", [1000, 4]),
        ("9007199254740993 5", [9007199254740992, 5]),
        ("99999999999999999999 -99999999999999999999", [1e20, -1e20]),
        ("", []),
        (" ", []),
    ],
)
def test_whole_and_other_numbers(words: str, expected: list[float]) -> None:
    assert text.parse_numbers(words).tolist() == expected


@pytest.mark.parametrize(
    "words", ["5-3 1", "5 - 3", "--5", "5 -", "0x10", "1 nan", "1 inf", "1,5", "1_000.5.2"]
)
def test_invalid_numbers_are_format_errors(words: str) -> None:
    with pytest.raises(ValueError, match=r"could not convert|finite"):
        text.parse_numbers(words)


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"xml: unknown format; choose one of csv \(\.csv\), json"):
        formats.read(tmp_path / "a.csv", "xml")


def test_an_ambiguous_file_has_the_format_of_its_neighbours(tmp_path: Path) -> None:
    written(tmp_path, "1.txt", "1.5 2\n3 4\n")
    doubtful = written(tmp_path, "2.txt", "57 0\n")
    assert {image: xy(points) for image, points in formats.read(tmp_path).items()} == {
        "1": [[1.5, 2], [3, 4]],
        "2": [[57, 0]],
    }
    assert xy(formats.read(doubtful, alone=True)["2"]) == [[57, 0]]
    with pytest.raises(FormatError, match=r"2\.txt: cannot detect the format \(xy or nwpu or nwpu-truth\)"):
        formats.read(doubtful)


def test_an_explicit_format_overrides_the_extension(tmp_path: Path) -> None:
    path = written(tmp_path, "nobody.txt", "1 0\n2 0\n")
    assert formats.read(path, "nwpu") == {"1": Points.empty(), "2": Points.empty()}
    assert xy(formats.read(path, "xy")["nobody"]) == [[1, 0], [2, 0]]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes and devices in folders")
@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
def test_pipes_and_devices_of_a_folder_are_not_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.csv").write_text("image,x,y\na,1,2\n")
    if kind == "pipe":
        os.mkfifo(tmp_path / "b.csv")
    else:
        (tmp_path / "b.csv").symlink_to("/dev/zero")
    with pytest.raises(FormatError, match=r"b\.csv: expected a file, found a pipe or a device"):
        formats.read(tmp_path)
