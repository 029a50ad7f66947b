"""The page of a report: what it says, what it needs, and that it says the same twice."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_systems import SIZE, draw_images, draw_system, draw_truth
from PIL import Image

from crowdpoint import report
from crowdpoint.metrics import Evaluator
from crowdpoint.points import Points
from crowdpoint.report import analysis, pictures, published, tables
from crowdpoint.report.analysis import analyse

TRUTH = draw_truth()
FIRST = draw_system("first <i>", TRUTH)
SECOND = draw_system("second", TRUTH, ranked=False, spread=4)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    images = draw_images(folder / "images", TRUTH)
    path = report.write(folder / "a" / "b", "shanghaitech-a", TRUTH, [FIRST, SECOND], images)
    assert path == folder / "a" / "b" / "index.html"
    again = report.write(folder / "again", "shanghaitech-a", TRUTH, [FIRST, SECOND], images)
    assert path.read_bytes() == again.read_bytes(), "the page is not reproducible"
    return path.read_text(encoding="utf-8")


def test_the_page_is_self_contained(page: str) -> None:
    links = re.findall(r'(?:href|src)="([^"#][^"]{0,40})', page)
    assert links
    assert all(link.startswith("data:") for link in links)
    assert "<script" not in page
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_names_are_escaped(page: str) -> None:
    assert "first <i>" not in page
    assert "first &lt;i&gt;" in page


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    truth = {f"caf\udce9 {name}\x1b": heads for name, heads in TRUTH.items()}
    systems = [draw_system("caf\udce9", truth), draw_system("naïve", truth, ranked=False)]
    text = report.write(tmp_path, "m\udcfcll", truth, systems).read_text(encoding="utf-8")
    assert "<title>caf%E9, naïve on m%FCll</title>" in text
    assert "<h1>m%FCll</h1>" in text
    assert "caf%E9 IMG_4%1B, 30 heads" in text


def test_the_table_has_the_reports_figures_and_the_published_ones(page: str) -> None:
    for text in (f"{FIRST.report.mae:.2f}", f"{SECOND.report.rmse:.2f}", "52.74", "103.4", "64.4 %"):
        assert re.search(rf"<td[^>]*>(<b>)?{re.escape(text)}", page)
    assert "Tables IV and VII" in page
    assert page.count("<small>published</small>") == 2


def test_the_page_names_the_protocol_of_the_figures(page: str, tmp_path: Path) -> None:
    assert "Protocol" not in page, "no system here has one"
    paper = replace(FIRST, report=FIRST.report.model_copy(update={"protocol": "paper"}))
    text = report.write(tmp_path, "somewhere", TRUTH, [paper, SECOND]).read_text(encoding="utf-8")
    assert re.search(r'<th scope="row">Protocol</th>\s*<td>paper</td><td>–</td>', text)
    assert "the test images (paper)" in text


def test_it_has_every_chart_and_picture(page: str) -> None:
    for title in ("Counts", "Error by crowd size", "Error by density", "F1 by distance", "nAP by δ"):
        assert f"<h3>{title}</h3>" in page
    assert "Map maxima" not in page
    assert "A single point for systems without distinct scores: second." in page
    for heading in ("Best located", "Worst located", "Largest counting errors"):
        assert heading in page
    assert page.count("data:image/jpeg;base64,") == 6 * 2


def test_one_system_without_pictures(tmp_path: Path) -> None:
    maxima = {name: 0.9 if len(heads) else 0.05 for name, heads in TRUTH.items()}
    system = replace(SECOND, method="fidtm", maxima=maxima, empty_below=0.25)
    text = report.write(tmp_path, "somewhere", TRUTH, [system]).read_text(encoding="utf-8")
    assert "data:image/jpeg" not in text
    assert "published" not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)
    assert "<h2>Comparison</h2>" not in text
    assert "<b>" not in text
    assert "nAP by δ" not in text
    assert "Map maxima of second" in text


def test_images_without_heads_in_a_report(tmp_path: Path) -> None:
    truth = {"a": Points.empty(), "b": Points.empty()}
    evaluator = Evaluator(curves=True)
    for name in truth:
        evaluator.update(Points.empty(), Points.empty(), name=name)
    system = report.System("none", "", evaluator.compute(), truth)
    text = report.write(tmp_path, "empty", truth, [system]).read_text(encoding="utf-8")
    assert "Error by density" not in text, "no one knows the size of these images"
    assert "Precision and recall" not in text
    assert "<h2>Images</h2>" not in text


def test_analysis_agrees_with_the_report() -> None:
    found = analyse(FIRST, TRUTH)
    for sigma in (4, 8):
        assert found.f1_by_sigma[sigma - 1] == FIRST.report.localization[f"{sigma}"].f1
    assert np.abs(found.errors).mean() == pytest.approx(FIRST.report.mae)


def test_groups_keep_equal_values_together() -> None:
    parts = analysis.group_by_quantiles(np.array([5, 0, 0, 0, 9, 7, 6, 0, 5, 8]))
    assert sorted(np.concatenate(parts).tolist()) == list(range(10))
    assert sorted(parts[0].tolist()) == [1, 2, 3, 7]
    assert all(len(part) for part in parts)
    assert len(analysis.group_by_quantiles(np.zeros(4))) == 1


def test_notable_images_are_ranked_and_come_once() -> None:
    found = dict(analysis.select_notable([analyse(FIRST, TRUTH), analyse(SECOND, TRUTH)], each=2))
    positions = [position for chosen in found.values() for position in chosen]
    assert len(positions) == len(set(positions)) == 6
    errors = np.abs(analyse(FIRST, TRUTH).errors) + np.abs(analyse(SECOND, TRUTH).errors)
    assert errors[found["Largest counting errors"][0]] == errors.max()
    assert 0 not in found["Best located"] + found["Worst located"], "nobody is in that image"
    f1 = (analyse(FIRST, TRUTH).f1 + analyse(SECOND, TRUTH).f1) / 2
    assert f1[found["Best located"][0]] == np.nanmax(f1[1:])
    assert f1[found["Worst located"][0]] == np.nanmin(f1[1:])


def test_a_picture_shows_true_false_and_missed_points(tmp_path: Path) -> None:
    Image.new("RGB", SIZE).save(tmp_path / "black.png")
    truth = Points(np.array([(20.0, 20), (90.0, 60)], np.float32))
    predictions = Points(np.array([(22.0, 20), (60.0, 30)], np.float32))
    url = pictures.draw_points(tmp_path / "black.png", predictions, truth, 8)
    jpeg = io.BytesIO(base64.b64decode(url.partition(",")[2]))
    shown = np.asarray(Image.open(jpeg)).astype(int)
    assert shown.shape == (160, 240, 3)
    for (x, y), color in (
        ((44, 40), pictures.TRUE),
        ((120, 60), pictures.FALSE),
        ((180 + 5, 120), pictures.MISSED),
    ):
        expected = np.array(list(bytes.fromhex(color[1:])))
        around = shown[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3)
        assert np.abs(around - expected).max(axis=1).min() < 70, color
    assert np.ptp(shown[75:85, 5:15]) < 25, "there is no point"


def test_the_best_of_several_is_marked() -> None:
    rows = {row.label: row for row in tables.build_rows([FIRST, SECOND], ())}
    mae = rows["MAE (heads)"]
    assert mae.best == [FIRST.report.mae <= SECOND.report.mae, SECOND.report.mae <= FIRST.report.mae]
    assert rows["nAP, mean"].best == [False, False], "one system has none"
    assert rows["nAP, mean"].cells[1] == "–"
    assert not any(any(row.best) for row in tables.build_rows([FIRST], ()))


def test_published_rows_are_rows_of_the_table() -> None:
    known = {"mae", "rmse", *(f"game {level}" for level in range(4))}
    known |= {f"nap {delta}" for delta in ("0.05", "0.25", "0.5", "mean")}
    known |= {
        f"{part} {sigma}" for part in ("f1", "precision", "recall") for sigma in ("4", "8", "1:100", "s", "l")
    }
    for columns in published.PUBLISHED.values():
        for column in columns:
            assert column.figures.keys() <= known
            for key, text in column.figures.items():
                share = key.split()[0] in ("nap", "f1", "precision", "recall")
                assert re.fullmatch(r"\d+(\.\d+)?" + (" %" if share else ""), text)


def test_published_f1_belongs_to_its_precision_and_recall() -> None:
    found = 0
    for columns in published.PUBLISHED.values():
        for figures in (column.figures for column in columns):
            for sigma in (key.split()[1] for key in figures if key.startswith("f1 ")):
                precision, recall, f1 = (
                    float(figures[f"{part} {sigma}"].removesuffix(" %"))
                    for part in ("precision", "recall", "f1")
                )
                assert f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=0.11)
                found += 1
    assert found == 12
    assert published.PUBLISHED["nwpu-crowd"][0].figures["f1 l"] == "71.2 %"  # P2PNet, Table 7


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    fewer = {name: points for name, points in FIRST.predictions.items() if name != "IMG_3"}
    for truth, systems, complaint in (
        ({}, [FIRST], "truth: expected at least one image"),
        (TRUTH, [], "systems: expected at least one"),
        (TRUTH, [FIRST, FIRST], "expected unique names"),
        (TRUTH, [replace(FIRST, predictions=fewer)], "predictions and truth have different images: IMG_3"),
        (TRUTH, [replace(FIRST, report=FIRST.report.model_copy(update={"rows": ()}))], "different images"),
        (TRUTH, [replace(FIRST, report=FIRST.report.model_copy(update={"curves": None}))], "curves=True"),
    ):
        with pytest.raises(ValueError, match=complaint):
            report.write(tmp_path, "x", truth, systems)
