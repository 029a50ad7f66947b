"""Passwords of locations do not reach a batch's tables, which still know what is done."""

from types import SimpleNamespace
from typing import Any

from crowdpoint.batch import parts
from crowdpoint.batch.plan import Plan
from crowdpoint.batch.worker import Outcome

URL = "https://user:secret@photos.example/a.jpg?token=secret"


def test_secrets_are_not_stored_and_what_is_done_is_known() -> None:
    def predict(images: list[str], _: object) -> list[Outcome]:
        return [Outcome(image, error=f"{image} cannot be fetched") for image in images]

    worker: Any = SimpleNamespace(predict=predict)
    model: Any = SimpleNamespace()
    part = parts.predict([URL], worker, model, lambda _: None)
    ((image, error),) = parts.decode_failures(part.failures)
    assert image == "https://***@photos.example/a.jpg?token=***"
    assert error == f"{image} cannot be fetched"
    tables = {"failures": [[image]], "points": []}
    store: Any = SimpleNamespace(images=tables.__getitem__)
    plan = Plan.compare({URL: None, "b.jpg": None}, store)
    assert (plan.images, plan.failed_before) == ({"b.jpg": None}, 1)
