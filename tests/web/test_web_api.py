import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from command_line import crowdpoint
from fastapi.testclient import TestClient
from serving import photo
from tiny_models import INFO, write_tiny

from crowdpoint.errors import ConfigError
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict import Predictor
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.web import schemas
from crowdpoint.web.app import PAGE, create
from crowdpoint.web.limits import Limits

THREE = photo({(4, 4): 255, (44, 28): 180, (84, 60): 100})  # scores of 1, 0.71 and 0.39
JUNK = b"\xff\xd8\xff but no picture"
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("web") / "tiny.onnx")


@pytest.fixture(scope="module")
def client(tiny: Path) -> Iterator[TestClient]:
    predictor = Predictor.load(tiny, threads=1)
    limits = Limits(request_bytes=20_000, pixels=10_000, images=3)
    with TestClient(create({"tiny": predictor, "other": predictor}, workers=2, limits=limits)) as client:
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
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    predict = Predictor.predict

    def fragile(self: Predictor, picture: npt.NDArray[np.uint8], **options: Any) -> Points:
        if not picture.any():
            raise MemoryError("secret of the house")
        return predict(self, picture, **options)

    monkeypatch.setattr(Predictor, "predict", fragile)
    answer = send(client, photo({}), THREE)
    failed, three = answer.json()["results"]
    assert three["count"] == 2
    assert (failed["image"], failed["status"]) == ("0.png", 500)
    assert "secret" not in failed["detail"]
    assert "secret of the house" in caplog.text


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


def test_no_candidate_is_kept_in_vain(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "candidates", pytest.fail)
    assert send(client, THREE, query="?threshold=0.3").status_code == 200


def test_answers_are_written_where_they_are_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def dumps(*arguments: Any, **options: Any) -> str:
        threads.append(threading.current_thread().name)
        return json.dumps(*arguments, **options)

    monkeypatch.setattr("crowdpoint.web.app.json", SimpleNamespace(dumps=dumps))
    assert send(client, THREE, THREE).json()["results"][1]["count"] == 2
    assert [name.partition("_")[0] for name in threads] == ["predict", "predict"]


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


def test_what_is_no_form_with_files(client: TestClient) -> None:
    assert "found none" in refused(client.post("/v1/predict"), 415)["detail"]
    assert (
        "image/png"
        in refused(client.post("/v1/predict", content=THREE, headers={"content-type": "image/png"}), 415)[
            "detail"
        ]
    )
    broken = {"content-type": "multipart/form-data"}
    refused(client.post("/v1/predict", content=b"x", headers=broken), 400)
    assert "'photo'" in refused(client.post("/v1/predict", files={"photo": THREE}), 422)["detail"]
    empty = {"content-type": "multipart/form-data; boundary=x"}
    assert (
        "found none"
        in refused(client.post("/v1/predict", content=b"--x--\r\n", headers=empty), 422)["detail"]
    )


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
    with TestClient(create({"tiny": Predictor.load(tiny)}, workers=1)) as client:
        send(client, THREE, JUNK)
        client.get("/nothing")
        client.get("/nowhere")
        text = client.get("/metrics").text
    assert 'crowdpoint_requests_total{method="POST",path="/v1/predict",status="200"} 1.0' in text
    assert 'crowdpoint_requests_total{method="GET",path="other",status="404"} 2.0' in text
    assert 'crowdpoint_images_total{model="tiny",outcome="predicted"} 1.0' in text
    assert 'crowdpoint_images_total{model="tiny",outcome="failed"} 1.0' in text
    assert "crowdpoint_unfinished_requests 0.0" in text


def test_the_key(tiny: Path) -> None:
    with TestClient(create({"tiny": Predictor.load(tiny)}, workers=1, api_key="sesame")) as client:
        for headers in ({}, {"authorization": "Bearer Sesame"}, {"authorization": "Basic sesame"}):
            answer = client.post("/v1/predict", content=b"unread", headers=headers)
            refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/models", "/metrics"):
            refused(client.get(path, headers={b"authorization": b"Bearer ses\xe4me"}), 401)
            assert client.get(path, headers={"authorization": "Bearer sesame"}).status_code == 200
        for path in ("/", "/healthz", "/page/app.js", "/openapi.json"):
            assert client.get(path).status_code == 200


class Stubborn:
    """An engine that works until it is told to stop, or breaks."""

    def __init__(self, breaks: bool = False) -> None:
        self.info: ModelInfo = replace(INFO, name="stubborn")
        self.started, self.stop = threading.Event(), threading.Event()
        self._breaks = breaks

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        if self._breaks:
            raise RuntimeError("secret of the house")
        self.started.set()
        assert self.stop.wait(30)
        return {"points": np.zeros((1, 0, 2), np.float32), "scores": np.zeros((1, 0), np.float32)}


@pytest.mark.parametrize(
    ("limits", "status"), [(Limits(requests=1), 503), (Limits(client_requests=1), 429)], ids=["all", "one"]
)
def test_a_busy_server_says_so_at_once(limits: Limits, status: int) -> None:
    engine = Stubborn()
    with (
        TestClient(create({"slow": Predictor(engine)}, workers=1, limits=limits)) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        first = thread.submit(send, client, THREE)
        assert engine.started.wait(30)
        answer = send(client, THREE)
        engine.stop.set()
        refused(answer, status)
        assert int(answer.headers["retry-after"]) >= 1
        assert first.result().status_code == 200
        assert send(client, THREE).status_code == 200


def test_a_fault_of_the_server_tells_nothing_but_its_log(caplog: pytest.LogCaptureFixture) -> None:
    app = create({"broken": Predictor(Stubborn(breaks=True))}, workers=1)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert "secret" not in json.dumps(refused(send(client, THREE), 500))
    assert "secret of the house" in caplog.text


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


def test_arguments() -> None:
    with pytest.raises(ValueError, match="at least one model"):
        create({}, workers=1)
    for key in ("", "se same", "ses\u00e4me"):
        with pytest.raises(ConfigError, match="API key"):
            create({"x": Predictor(Stubborn())}, workers=1, api_key=key)
    with pytest.raises(ValueError, match="pixels: expected a value above 0, found 0"):
        Limits(pixels=0)
