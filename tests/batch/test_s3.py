"""A batch from and to an object store: a server of this machine that speaks S3."""

import io
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from command_line import crowdpoint
from drawn_batches import draw_photos
from moto.server import ThreadedMotoServer
from pyarrow import parquet

from crowdpoint.opening import storage

COMMAND = [sys.executable, "-c", "from crowdpoint.cli import main; main()", "batch"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket, which this process and those that it starts find by their environment."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(secret, "test")
        fsspec.filesystem("s3").mkdir("s3://bucket")
        yield "s3://bucket"
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


def _files(output: str, table: str) -> list[bytes]:
    """The files of a table, read past every cache."""
    store = storage.create_filesystem(output)
    store.invalidate_cache()
    try:
        return [store.cat_file(path) for path in store.find(f"{output}/{table}")]
    except FileNotFoundError:  # s3fs, where the first file comes between the two requests that look for it
        return []


def _images(output: str, table: str) -> Counter[str]:
    """How often each image is in a table, as any reader of Parquet finds it."""
    tables = [parquet.read_table(io.BytesIO(content)) for content in _files(output, table)]
    return Counter(str(image) for found in tables for image in found["image"].to_pylist())


def test_a_killed_batch_resumes(bucket: str, tiny: Path, tmp_path: Path) -> None:
    local = draw_photos(tmp_path / "in", 120)
    storage.create_filesystem(bucket).put(f"{tmp_path}/in", f"{bucket}/in", recursive=True)
    photos = [f"{bucket}/in/{Path(path).relative_to((tmp_path / 'in').resolve())}" for path in local]
    out = f"{bucket}/out"
    options = [f"{bucket}/in", out, "--model", str(tiny), "--workers", "2", "--chunk", "4"]
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE)
    try:
        until = time.monotonic() + 120
        while not _files(out, "points") and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()
    done = _images(out, "points")
    assert 0 < done.total() < len(photos)
    outcome = crowdpoint("batch", *options)
    assert outcome.code == 0, outcome.err
    assert f"{len(photos) - done.total()} of 120 images predicted" in outcome.out
    assert _images(out, "points") == Counter(photos)
    assert not _images(out, "failures")


def test_a_missing_bucket_is_named(bucket: str, tiny: Path, tmp_path: Path) -> None:
    photos = tmp_path / "in"
    draw_photos(photos, 1)
    options = ("--model", tiny, "--workers", 1)
    outcome = crowdpoint("batch", "s3://absent/in", f"{bucket}/other", *options)
    assert outcome.code == 2
    assert "no image to predict; s3://absent/in: no such file" in outcome.err
    outcome = crowdpoint("batch", photos, "s3://absent/out", *options)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "s3://absent/out/manifest.json: cannot be written: The specified bucket does not" in outcome.err
