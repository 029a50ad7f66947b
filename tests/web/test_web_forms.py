"""Bodies that are no form, no whole form, or a form as few clients write it."""

from collections.abc import Iterator
from typing import Any

import pytest
from application import application, files
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from serving import photo
from tiny_models import write_tiny

from crowdpoint.web.limits import Limits

THREE = photo({(4, 4): 255, (44, 28): 180, (84, 60): 100})
PART = b'Content-Disposition: form-data; name="image"; filename="%s"\r\nContent-Type: image/png\r\n\r\n'
ONE = b"--x\r\n" + PART % b"a.png" + THREE
TWO = ONE + b"\r\n--x\r\n" + PART % b"b.png" + THREE
END = b"\r\n--x--\r\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    tiny = write_tiny(tmp_path_factory.mktemp("forms") / "tiny.onnx")
    with application(files(tiny=tiny), limits=Limits(images=3)) as client:
        yield client


def post(client: TestClient, body: bytes, kind: str = "multipart/form-data; boundary=x") -> Any:
    return client.post("/v1/predict", content=body, headers={"content-type": kind})


def refused(answer: Any, status: int) -> str:
    """The detail of a problem."""
    assert answer.status_code == answer.json()["status"] == status
    return str(answer.json()["detail"])


def counts(answer: Any) -> list[int]:
    assert answer.status_code == 200
    return [result["count"] for result in answer.json()["results"]]


def test_bodies_that_are_not_forms_with_files(client: TestClient) -> None:
    assert "found none" in refused(client.post("/v1/predict"), 415)
    assert "image/png" in refused(post(client, THREE, "image/png"), 415)
    assert "found ''" in refused(post(client, b"x", "multipart/form-data"), 400)
    assert "'photo'" in refused(client.post("/v1/predict", files={"photo": THREE}), 422)
    assert "found none" in refused(post(client, b"--x--\r\n"), 422)


def test_a_truncated_form_is_refused(client: TestClient) -> None:
    assert counts(post(client, TWO + END)) == [2, 2]
    whole = TWO + END
    # of the last line, the end of the line alone may be missing
    for end in [*range(1, len(whole) - 2, 23), *range(len(whole) - 10, len(whole) - 2)]:
        refused(post(client, whole[:end]), 400)
    assert counts(post(client, whole[:-2])) == [2, 2]


@pytest.mark.parametrize(
    "kind",
    [
        "Multipart/Form-Data; boundary=x",
        "MULTIPART/FORM-DATA;BOUNDARY=x",
        'multipart/form-data; charset=utf-8; boundary="x"',
        "multipart/form-data; boundary=x; charset=unicode_escape",
        "multipart/form-data; boundary=x; charset=rot13",
        "multipart/form-data; boundary=x; charset=no-such-one",
        "multipart/form-data; charset=\x00; boundary=x",
    ],
)
def test_unusual_spellings_of_content_types(client: TestClient, kind: str) -> None:
    assert counts(post(client, ONE + END, kind)) == [2]


def test_names_are_repeated_as_they_are(client: TestClient) -> None:
    for name in (rb"\u0041\N", "人.png".encode(), b"\xff.png"):
        body = b"--x\r\n" + PART % name + THREE + END
        answer = post(client, body, "multipart/form-data; boundary=x; charset=unicode_escape")
        assert counts(answer) == [2]
    assert counts(post(client, b"\r\n" + ONE + END + b"an epilogue")) == [2]
    refused(post(client, b"a preamble\r\n" + ONE + END), 400)


@pytest.mark.parametrize("boundary", ["", "y" * 71, "\xe4", ";"])
def test_invalid_boundaries(client: TestClient, boundary: str) -> None:
    kind = f"multipart/form-data; boundary={boundary}".encode("latin-1")
    answer = client.post("/v1/predict", content=ONE + END, headers={b"content-type": kind})
    assert "boundary" in refused(answer, 400)


BROKEN = st.tuples(st.integers(0, len(TWO + END) - 1), st.binary(max_size=4), st.integers(0, 8))


@given(st.lists(BROKEN, min_size=1, max_size=6))
def test_damaged_forms_get_a_response(client: TestClient, changes: list[tuple[int, bytes, int]]) -> None:
    body = TWO + END
    for place, inserted, removed in changes:
        body = body[:place] + inserted + body[place + removed :]
    assert post(client, body).status_code in (200, 400, 413, 422)
