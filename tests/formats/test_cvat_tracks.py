"""formats: CVAT's tracks of a video, a set of points for each frame."""

from pathlib import Path

import numpy as np
import pytest
from command_line import crowdpoint

from crowdpoint import formats
from crowdpoint.errors import FormatError
from crowdpoint.formats import Classes
from crowdpoint.formats.text import build_points
from crowdpoint.points import Points

TRACKS = """<annotations>
<meta><task><original_size><width>64</width><height>48</height></original_size></task></meta>
<track id="0" label="person">
  <box frame="0" outside="0" xtl="10" ytl="20" xbr="14" ybr="26"/>
  <box frame="1" outside="0" xtl="11" ytl="20" xbr="15" ybr="26"/>
  <box frame="2" outside="1" xtl="11" ytl="20" xbr="15" ybr="26"/>
</track>
<track id="1" label="head"><points frame="1" outside="0" points="30,8;32,9"/></track>
<track id="2" label="head"><polygon frame="1" outside="0" points="1,1;2,1;2,2"/></track>
</annotations>"""


def test_tracks_are_points_by_frame(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(TRACKS)
    size = (64, 48)
    assert formats.read(path) == {
        "frame_000000": Points(np.array([[12, 23]], np.float32), sizes=np.array([[4, 6]]), image_size=size),
        "frame_000001": Points(np.array([[13, 23], [30, 8], [32, 9]], np.float32), image_size=size),
        "frame_000002": Points.empty(size),
    }
    people = formats.read(path, classes=Classes(["person"]))
    box = Points(np.array([[13, 23]], np.float32), sizes=np.array([[4, 6]], np.float32), image_size=size)
    assert people["frame_000001"] == box
    heads = formats.read(path, classes=Classes(["head"]))
    assert [len(points) for points in heads.values()] == [0, 2, 0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('frame="2"', 'frame="x"', "track 1: frame: expected"),
        ('xtl="11"', "", "track 1: xtl: expected"),
        ('xtl="10"', 'xtl="99"', "annotations.xml: frame_000000: sizes: expected"),
        ("30,8", "30", "track 2: points: expected"),
        ("<height>48</height>", "", "meta: height: expected"),
    ],
)
def test_damaged_tracks(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(TRACKS.replace(old, new))
    with pytest.raises(FormatError, match=message):
        formats.read(path)


def test_a_skeleton_of_a_track_is_its_first_joint_in_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    joints = "".join(
        f'<points label="{label}" outside="{outside}" points="{x},9"/>'
        for label, outside, x in (("nose", "{nose}", 20), ("hand", "{hand}", 30))
    )
    frames = ((0, 0, 0), (1, 1, 0), (2, 1, 1))
    skeletons = "".join(
        f'<skeleton frame="{frame}">{joints.format(nose=nose, hand=hand)}</skeleton>'
        for frame, nose, hand in frames
    )
    path.write_text(f'<annotations><track id="0" label="person">{skeletons}</track></annotations>')
    found = {image: points.xy.tolist() for image, points in formats.read(path).items()}
    assert found == {"frame_000000": [[20, 9]], "frame_000001": [[30, 9]], "frame_000002": []}


def test_boxes_of_tracks_become_boxes_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(TRACKS)
    target = tmp_path / "boxes.json"
    outcome = crowdpoint("convert", path, target, "--to", "coco-boxes", "--classes", "person")
    assert outcome.code == 0, outcome.err
    (points, *_) = formats.read(target).values()
    assert points.sizes is not None
    assert points.sizes.tolist() == [[4, 6]]


@pytest.mark.parametrize(
    "meta",
    [
        "<original_size><width>64</width><height>48</height></original_size>",
        "<job><original_size><width>64</width><height>48</height></original_size></job>",
        "<project><tasks><task><id>1</id><original_size><width>64</width><height>48</height></original_size>"
        "</task></tasks></project>",
    ],
)
def test_the_size_of_frames_is_that_of_a_job_or_project(tmp_path: Path, meta: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(TRACKS.replace(TRACKS[TRACKS.index("<task>") : TRACKS.index("</meta>")], meta))
    assert {points.image_size for points in formats.read(path).values()} == {(64, 48)}


def test_videos_of_a_project_stay_apart(tmp_path: Path) -> None:
    sizes = "".join(
        f"<task><id>{task}</id><original_size><width>{width}</width><height>48</height></original_size></task>"
        for task, width in ((1, 64), (2, 32))
    )
    tracks = "".join(
        f'<track id="0" label="head" task_id="{task}" subset="{subset}">'
        f'<points frame="0" outside="0" points="{x},9"/></track>'
        for task, subset, x in ((1, "Train", 10), (2, "Validation", 20))
    )
    path = tmp_path / "annotations.xml"
    path.write_text(
        f"<annotations><meta><project><tasks>{sizes}</tasks></project></meta>{tracks}</annotations>"
    )
    assert formats.read(path) == {
        "Train/frame_000000": build_points([[10, 9, 1]], (64, 48)),
        "Validation/frame_000000": build_points([[20, 9, 1]], (32, 48)),
    }
