import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from application import DIE, GREEDY, HOLD, LAST, RAISE, application, files, scripted, wait_for
from command_line import crowdpoint
from fastapi.testclient import TestClient
from serving import photo
from tiny_models import INFO, write_tiny

from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.predict import Predictor
from crowdpoint.web import schemas, worker
from crowdpoint.web.app import PAGE, create
from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Pool

THREE = photo({(4, 4): 255, (44, 28): 180, (84, 60): 100})  # scores of 1, 0.71 and 0.39
JUNK = b"\xff\xd8\xff but no picture"
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("web") / "tiny.onnx")


@pytest.fixture(scope="module")
def client(tiny: Path) -> Iterator[TestClient]:
    limits = Limits(request_bytes=20_000, pixels=10_000, images=3)
    with application(files(tiny=tiny, other=tiny), workers=2, limits=limits) as client:
        yield client


@pytest.fixture(scope="module")
def hosts(tiny: Path) -> Iterator[TestClient]:
    with application(files(tiny=tiny), allowed_hosts=["crowd.example", "[::1]"]) as client:
        yield client


def send(client: TestClient, *images: bytes, query: str = "", **headers: str) -> Any:
    files = [("image", (f"{index}.png", content)) for index, content in enumerate(images)]
    return client.post(f"/v1/predict{query}", files=files, headers=headers)


def refused(answer: Any, status: int) -> dict[str, Any]:
    """The problem object, after the checks that hold for each."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    schemas.Problem.model_validate(document)
    assert document["status"] == status
    assert isinstance(document, dict)
    return document


def test_an_image_is_answered_as_the_command_line_does(
    client: TestClient, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "0.png").write_bytes(THREE)
    line = json.loads(crowdpoint("predict", tmp_path / "0.png", "--model", tiny, "--json").out)
    answer = send(client, THREE)
    assert answer.status_code == 200
    assert answer.json() == {"results": [line | {"image": "0.png"}]}
    schemas.Predictions.model_validate(answer.json())
    assert [(p["x"], p["y"]) for p in line["points"]] == [(4, 4), (44, 28)]


def test_several_images_keep_their_order_and_a_bad_one_spoils_no_other(client: TestClient) -> None:
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


def test_an_image_that_the_server_fails_at_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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


def test_a_request_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
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


def test_no_candidate_is_kept_in_vain(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "candidates", pytest.fail)
    answer = worker._answer(Predictor.load(tiny), THREE, worker.Question("0.png", "tiny", 0.3), 10_000)
    assert json.loads(answer.record)["count"] == 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?threshold=2", "query.threshold"),
        ("?threshold=much", "query.threshold"),
        ("?threshold=0", "query.threshold: Input should be greater than or equal to 0.01"),
        ("?threshhold=0.1", "query.threshhold"),
        ("?model=x", "tiny, other"),
    ],
)
def test_bad_options(client: TestClient, query: str, expected: str) -> None:
    assert expected in refused(send(client, THREE, query=query), 422)["detail"]


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


def test_no_path_or_address_is_followed(client: TestClient, tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(THREE)
    for place in (str(path), path.as_uri(), "http://127.0.0.1/x.png"):
        text = client.post("/v1/predict", data={"image": place}, files={"image": ("a.png", JUNK)})
        assert "found text" in refused(text, 422)["detail"]
        named = client.post("/v1/predict", files={"image": (place, JUNK)})
        assert "cannot be read as an image" in refused(named, 422)["detail"]
    for place in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2f..%2f..%2fetc/passwd"):
        refused(client.get(place), 404)


def test_other_addresses_and_methods(client: TestClient) -> None:
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
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_monitors_may_ask_for_the_head_alone(client: TestClient, path: str) -> None:
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


def test_the_key(tiny: Path) -> None:
    with application(files(tiny=tiny), api_key="sesame") as client:
        for headers in ({}, {"authorization": "Bearer Sesame"}, {"authorization": "Basic sesame"}):
            answer = client.post("/v1/predict", content=b"unread", headers=headers)
            refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/models", "/metrics"):
            refused(client.get(path, headers={b"authorization": b"Bearer ses\xe4me"}), 401)
            assert client.get(path, headers={"authorization": "Bearer sesame"}).status_code == 200
        for path in ("/", "/healthz", "/page/app.js", "/openapi.json"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("limits", "status"), [(Limits(requests=1), 503), (Limits(client_requests=1), 429)], ids=["all", "one"]
)
def test_a_busy_server_says_so_at_once(tmp_path: Path, limits: Limits, status: int) -> None:
    with application(scripted(tmp_path), limits=limits) as client, ThreadPoolExecutor(1) as thread:
        first = thread.submit(send, client, HOLD)
        wait_for(tmp_path / "started")
        answer = send(client, LAST)
        (tmp_path / "stop").touch()
        refused(answer, status)
        assert int(answer.headers["retry-after"]) >= 1
        assert first.result().status_code == 200
        assert send(client, LAST).status_code == 200


@pytest.mark.parametrize("host", ["crowd.example", "Crowd.example:8000", "[::1]:8000", "[::1]"])
def test_allowed_hosts(hosts: TestClient, host: str) -> None:
    assert hosts.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["", "evil.example", "crowd.example.evil", "evil:crowd.example", "["])
def test_other_hosts_are_refused(hosts: TestClient, host: str) -> None:
    for path in ("/healthz", "/", "/v1/models"):
        assert (
            "host: expected one of ::1, crowd.example"
            in refused(hosts.get(path, headers={"host": host}), 400)["detail"]
        )


def test_the_host_header_leads_nowhere(client: TestClient) -> None:
    for path in ("/page", "/healthz/", "/v1/models/"):
        answer = client.get(path, headers={"host": "evil.example"}, follow_redirects=False)
        assert answer.status_code == 404
        assert "evil" not in str(answer.headers) + answer.text


def test_the_description_names_every_address(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert set(description["paths"]) == {"/v1/predict", "/v1/models", "/healthz", "/metrics"}
    predict = description["paths"]["/v1/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {"multipart/form-data"}
    assert {parameter["name"] for parameter in predict["parameters"]} == {"model", "threshold"}
    for path in description["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                assert status == "200" or set(answer["content"]) == {PROBLEM}


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    own = [path for path in PAGE.rglob("*.*") if path.is_file() and "vendor" not in path.parts]
    assert len(own) >= 9
    for path in own:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert len(text.splitlines()) <= 400
    for path in (path for path in PAGE.rglob("*.*") if path.is_file()):
        assert client.get(f"/page/{path.relative_to(PAGE).as_posix()}").status_code == 200
    assert (PAGE / "vendor" / "panzoom" / "LICENSE.txt").is_file()


def test_arguments(tiny: Path) -> None:
    pool = Pool(files(tiny=tiny), 1)
    for key in ("", "se same", "ses\u00e4me"):
        with pytest.raises(ConfigError, match="API key"):
            create(pool, api_key=key)
    with pytest.raises(ValueError, match="pixels: expected a value above 0, found 0"):
        Limits(pixels=0)
    with pytest.raises(ModelError, match="no such model"), Pool(files(tiny=tiny.parent / "nothing.onnx"), 2):
        pytest.fail("it started")
