import base64
import io
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from application import (
    DIE,
    GREEDY,
    HOLD,
    LAST,
    PROBLEM,
    RAISE,
    application,
    files,
    refused,
    scripted,
    send,
    wait_for,
)
from command_line import crowdpoint
from fastapi.testclient import TestClient
from PIL import Image
from serving import photo
from tiny_models import INFO, info, write_tiny

from crowdpoint import draw
from crowdpoint.draw.heat import DIMMING, UNIT
from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.points import Points
from crowdpoint.predict import Predictor
from crowdpoint.recipe import IntervalConfig
from crowdpoint.web import schemas, worker
from crowdpoint.web.app import create
from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Pool

THREE = photo({(4, 4): 255, (44, 28): 180, (84, 60): 100})  # scores of 1, 0.71 and 0.39
JUNK = b"\xff\xd8\xff but no picture"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("web") / "tiny.onnx")


@pytest.fixture(scope="module")
def client(tiny: Path) -> Iterator[TestClient]:
    limits = Limits(request_bytes=20_000, pixels=10_000, images=3)
    with application(files(tiny=tiny, other=tiny), workers=2, limits=limits) as client:
        yield client


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    interval = IntervalConfig(below=0.5, above=2)
    model = info(INFO.config.model_copy(update={"interval": interval}))
    path = write_tiny(tmp_path_factory.mktemp("web") / "calibrated.onnx", model.metadata())
    with application(files(calibrated=path), limits=Limits(pixels=10_000)) as client:
        yield client


def test_the_api_returns_the_points_of_the_command_line(
    client: TestClient, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "0.png").write_bytes(THREE)
    line = json.loads(crowdpoint("predict", tmp_path / "0.png", "--model", tiny, "--json").out)
    answer = send(client, THREE)
    assert answer.status_code == 200
    assert answer.json() == {"results": [line | {"image": "0.png"}]}
    schemas.Predictions.model_validate(answer.json())
    assert [(p["x"], p["y"]) for p in line["points"]] == [(4, 4), (44, 28)]


def test_images_keep_their_order_and_a_damaged_one_fails_alone(client: TestClient) -> None:
    answer = send(client, photo({}), JUNK, THREE)
    assert answer.status_code == 200
    empty, broken, three = answer.json()["results"]
    assert (empty["count"], three["count"]) == (0, 2)
    assert (broken["image"], broken["status"]) == ("1.png", 422)
    assert broken["detail"].startswith("1.png: cannot be read as an image")
    parsed = schemas.Predictions.model_validate(answer.json())
    assert [type(result) for result in parsed.results] == [
        schemas.Record,
        schemas.ImageProblem,
        schemas.Record,
    ]


def test_an_internal_error_fails_one_image_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with application(scripted(tmp_path), workers=2) as client:
        failed, died, empty = send(client, RAISE, DIE, LAST).json()["results"]
        assert empty["count"] == 0
        assert (failed["image"], failed["status"]) == ("0.png", 500)
        assert (died["image"], died["status"]) == ("1.png", 500)
        assert "secret" not in failed["detail"]
        assert "secret of the house" in caplog.text
        assert "1.png failed: the worker process: killed by SIGKILL" in caplog.text
        refused(send(client, DIE), 500)
        assert send(client, LAST, LAST, LAST).status_code == 200  # the dead are replaced
        text = client.get("/metrics").text
        assert 'crowdpoint_images_total{model="scripted",outcome="failed"} 3.0' in text


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say what a process has")
def test_an_image_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    with application(scripted(tmp_path), limits=Limits(worker_bytes=1 << 29)) as client:
        assert "memory" in refused(send(client, GREEDY), 413)["detail"]
        assert send(client, LAST).status_code == 200


def test_a_request_beyond_the_time_limit_is_cancelled(tmp_path: Path) -> None:
    with Pool(scripted(tmp_path), 1, Limits(request_seconds=1)) as pool, TestClient(create(pool)) as client:
        answer = send(client, HOLD, LAST)
        assert "not finished within 1 s" in refused(answer, 503)["detail"]
        assert int(answer.headers["retry-after"]) >= 1
        pool.limits = Limits()
        assert send(client, LAST).status_code == 200  # and the one worker is free again
    assert not (tmp_path / "stop").exists()


def test_the_request_fails_if_every_image_does(client: TestClient) -> None:
    assert refused(send(client, JUNK), 422)["image"] == "0.png"
    errors = refused(send(client, photo({}, (200, 200)), JUNK), 413)["errors"]
    assert [error["status"] for error in errors] == [413, 422]


@pytest.mark.parametrize(
    ("query", "count"), [("?threshold=0.9", 1), ("?threshold=0.3", 3), ("?model=other", 2)]
)
def test_options(client: TestClient, query: str, count: int) -> None:
    (record,) = send(client, THREE, query=query).json()["results"]
    assert record["count"] == len(record["points"]) == count
    assert record["model"] == ("other" if "other" in query else "tiny")


@pytest.mark.parametrize("threshold", [None, 0.5, 0.01, 0.3])
def test_the_interval_belongs_to_the_models_own_threshold(
    calibrated: TestClient, threshold: float | None
) -> None:
    query = "" if threshold is None else f"?threshold={threshold}"
    (record,) = send(calibrated, THREE, query=query).json()["results"]
    assert record["count"] >= 2
    assert (record["count_low"], record["count_high"]) == (1, 5)  # 2 points, uncertainty 1.29


def test_a_higher_threshold_has_no_interval(calibrated: TestClient) -> None:
    (record,) = send(calibrated, THREE, query="?threshold=0.6").json()["results"]
    assert (record["count"], record["count_low"], record["count_high"]) == (2, None, None)


def test_the_working_scale(client: TestClient) -> None:
    cells = {(x, y): 255 for x in range(16) for y in range(8)}  # two, or one at half the size
    for query, count in (("", 2), ("?scale=auto", 2), ("?scale=1", 2), ("?scale=0.5", 1)):
        (record,) = send(client, photo(cells), query=query).json()["results"]
        assert (record["count"], record["width"], record["height"]) == (count, 96, 64)
    assert (
        "10000 pixels at a scale of 2" in refused(send(client, photo(cells), query="?scale=2"), 413)["detail"]
    )


@pytest.mark.parametrize(
    ("options", "query", "status"),
    [
        ({"scale": 2.0}, "", 413),
        ({"scale": 2.0}, "?scale=2", 413),
        ({"scale": 2.0}, "?scale=1", 200),
        ({"scale": 2.0, "max_side": 96}, "", 200),
        ({"scale": 1.2}, "", 200),
    ],
)
def test_the_limit_of_pixels_holds_at_the_servers_scale(
    tiny: Path, options: dict[str, Any], query: str, status: int
) -> None:
    load = partial(worker.load_models, [str(tiny)], threads=1, **options)
    with application(load, limits=Limits(pixels=10_000), **options) as client:
        assert client.get("/v1/models").json()["scale"] == options["scale"]
        answer = send(client, photo({}), query=query)
        assert answer.status_code == status
        assert status == 200 or "10000 pixels at a scale of 2" in answer.json()["detail"]


def test_the_heat_map_is_that_of_files(client: TestClient) -> None:
    xy = [(10, 10), (12, 14), (60, 40)]
    answer = client.post("/v1/heatmap", json={"width": 96, "height": 64, "points": xy})
    assert answer.status_code == 200
    heatmap = schemas.Heatmap.model_validate(answer.json())
    kind, _, content = heatmap.image.partition(",")
    assert kind == "data:image/webp;base64"
    layer = np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))).astype(float)
    assert layer.shape == (64, 96, 4)
    grey = np.full((64, 96, 3), 200, np.uint8)
    opacity = layer[..., 3:] / 255
    laid = DIMMING * 200 * (1 - opacity) + layer[..., :3] * opacity
    drawn = draw.heatmap(grey, Points(np.array(xy, np.float32)))
    difference = np.abs(laid - drawn)[:, 50:]  # to the right of the count
    assert difference.max() < 24  # WebP is lossy
    assert difference.mean() < 1
    assert opacity[12, 11] > 0.5
    assert opacity[60, 30] == 0
    assert (heatmap.colors[0], heatmap.unit) == ("#000004", UNIT)
    assert heatmap.peak > 0


def test_a_heat_map_without_points(client: TestClient) -> None:
    heatmap = client.post("/v1/heatmap", json={"width": 3000, "height": 2, "points": []}).json()
    assert heatmap["peak"] == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "body: Invalid JSON"),
        (b'{"width": 0, "height": 2, "points": []}', "body.width"),
        (b'{"width": 2, "height": 2, "points": [[1]]}', "body.points.0.1"),
        (b'{"width": 2, "height": 2, "points": [[1, NaN]]}', "body.points.0.1"),
        (b'{"width": 2, "height": 2, "points": [[1, 1e10]]}', "body.points.0.1"),
        (
            b'{"width": 2, "height": 2, "points": [], "sigma": 1}',
            "body.sigma: expected one of width, height, points, found 'sigma'",
        ),
        (b'{"width": 2, "height": 2}', "body.points: expected the field points"),
    ],
)
def test_bad_heat_maps(client: TestClient, content: bytes, expected: str) -> None:
    assert expected in refused(client.post("/v1/heatmap", content=content), 422)["detail"]


def test_heat_maps_of_too_many_points(client: TestClient, tiny: Path) -> None:
    assert "20000 bytes" in refused(client.post("/v1/heatmap", content=bytes(20_001)), 413)["detail"]
    chunks = (bytes(1 << 20) for _ in range(5))  # sent without its length
    with application(files(tiny=tiny)) as roomy:
        assert f"{4 << 20} bytes" in refused(roomy.post("/v1/heatmap", content=chunks), 413)["detail"]


def test_candidates_below_the_threshold_are_dropped(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "candidates", pytest.fail)
    answer = worker._predict(Predictor.load(tiny), THREE, worker.Job("0.png", "tiny", 0.3), 10_000)
    assert json.loads(answer.record)["count"] == 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?threshold=2", "query.threshold"),
        ("?threshold=much", "query.threshold"),
        ("?threshold=0", "query.threshold: Input should be greater than or equal to 0.01"),
        ("?threshold=nan", "query.threshold: Input should be a finite number"),
        ("?threshold=0.3&threshold=0.9", "query.threshold: expected one value, found 2"),
        (
            "?threshhold=0.1",
            "query.threshhold: expected one of model, threshold, scale, found 'threshhold'",
        ),
        *(
            (f"?scale={wrong}", f"query.scale: expected auto or a factor from 0.05 to 8, found '{wrong}'")
            for wrong in ("0", "9", "nan", "big")
        ),
        ("?model=x", "tiny, other"),
    ],
)
def test_bad_options(client: TestClient, query: str, expected: str) -> None:
    document = refused(send(client, THREE, query=query), 422)
    assert expected in document["detail"]
    if "errors" in document:
        assert [f"{e['where']}: {e['detail']}" for e in document["errors"]] == [document["detail"]]


def test_a_body_that_is_too_large(client: TestClient) -> None:
    assert "20000 bytes" in refused(send(client, bytes(20_001)), 413)["detail"]
    chunks = (bytes(1000) for _ in range(30))  # sent without its length
    kind = {"content-type": "multipart/form-data; boundary=x"}
    refused(client.post("/v1/predict", content=chunks, headers=kind), 413)


def test_too_many_pixels_by_the_header_alone(client: TestClient) -> None:
    bomb = photo({}, (200, 200))
    assert "10000 pixels" in refused(send(client, bomb[:60]), 413)["detail"]


@pytest.mark.parametrize("count", [4, 8])
def test_too_many_images(client: TestClient, count: int) -> None:
    assert "at most 3 images" in refused(send(client, *[THREE] * count), 413)["detail"]


def test_paths_and_urls_in_requests_are_not_opened(client: TestClient, tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(THREE)
    for place in (str(path), path.as_uri(), "http://127.0.0.1/x.png"):
        text = client.post("/v1/predict", data={"image": place}, files={"image": ("a.png", JUNK)})
        assert "found text" in refused(text, 422)["detail"]
        named = client.post("/v1/predict", files={"image": (place, JUNK)})
        assert "cannot be read as an image" in refused(named, 422)["detail"]
    for place in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2f..%2f..%2fetc/passwd"):
        refused(client.get(place), 404)


def test_unknown_paths_and_methods(client: TestClient) -> None:
    assert "GET /nothing" in refused(client.get("/nothing"), 404)["detail"]
    answer = client.get("/v1/predict")
    refused(answer, 405)
    assert answer.headers["allow"] == "POST"
    refused(client.get("/docs"), 404)  # the framework's pages load scripts from elsewhere


def test_models_and_health(client: TestClient) -> None:
    found = client.get("/v1/models").json()
    schemas.Models.model_validate(found)
    assert [model["name"] for model in found["models"]] == ["tiny", "other"]
    assert found["models"][0]["threshold"] == INFO.threshold
    assert found["limits"] == {"request_bytes": 20_000, "pixels": 10_000, "images": 3}
    assert found["scale"] == "auto"
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_health_checks_may_use_head_requests(client: TestClient, path: str) -> None:
    found, whole = client.head(path), client.get(path)
    assert (found.status_code, found.content) == (200, b"")
    assert found.headers["content-type"] == whole.headers["content-type"]


def test_metrics(tiny: Path) -> None:
    with application(files(tiny=tiny)) as client:
        send(client, THREE, JUNK)
        for path in ("/nothing", "/nowhere"):
            client.get(path)
            client.request("BREW", path)
            client.request("WHEN", path)
        text = client.get("/metrics").text
    assert 'crowdpoint_requests_total{method="POST",path="/v1/predict",status="200"} 1.0' in text
    assert 'crowdpoint_requests_total{method="GET",path="other",status="404"} 2.0' in text
    assert 'crowdpoint_requests_total{method="other",path="other",status="404"} 4.0' in text
    assert 'crowdpoint_images_total{model="tiny",outcome="predicted"} 1.0' in text
    assert 'crowdpoint_images_total{model="tiny",outcome="failed"} 1.0' in text
    assert "crowdpoint_unfinished_requests 0.0" in text


@pytest.mark.parametrize(
    ("limits", "status"), [(Limits(requests=1), 503), (Limits(client_requests=1), 429)], ids=["all", "one"]
)
def test_a_busy_server_refuses_at_once(tmp_path: Path, limits: Limits, status: int) -> None:
    with application(scripted(tmp_path), limits=limits) as client, ThreadPoolExecutor(1) as thread:
        first = thread.submit(send, client, HOLD)
        wait_for(tmp_path / "started")
        answer = send(client, LAST)
        (tmp_path / "stop").touch()
        refused(answer, status)
        assert int(answer.headers["retry-after"]) >= 1
        assert first.result().status_code == 200
        assert send(client, LAST).status_code == 200


def test_the_openapi_description_lists_every_path(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert set(description["paths"]) == {"/v1/predict", "/v1/heatmap", "/v1/models", "/healthz", "/metrics"}
    predict = description["paths"]["/v1/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {"multipart/form-data"}
    assert {parameter["name"] for parameter in predict["parameters"]} == {"model", "threshold", "scale"}
    for path in description["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                assert status == "200" or set(answer["content"]) == {PROBLEM}


def test_arguments(tiny: Path) -> None:
    pool = Pool(files(tiny=tiny), 1)
    for key in ("", "se same", "ses\u00e4me"):
        with pytest.raises(ConfigError, match="API key"):
            create(pool, api_key=key)
    with pytest.raises(ValueError, match="pixels: expected a value above 0, found 0"):
        Limits(pixels=0)
    with pytest.raises(ModelError, match="no such model"), Pool(files(tiny=tiny.parent / "nothing.onnx"), 2):
        pytest.fail("it started")
