"""Start a server and send it photos: `python examples/ask_server.py a.jpg b.jpg`.

Needs `pip install '.[serve]'`. `--url` uses a running server instead.
"""

import argparse
import json
import re
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path


def main() -> None:
    """Print the count of every photo, or its error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path, help="image files")
    parser.add_argument("--url", help="address of a running server, such as http://127.0.0.1:8000")
    parser.add_argument("--model", default="fidtm-lite", help="model of the new server (%(default)s)")
    arguments = parser.parse_args()

    with nullcontext(arguments.url) if arguments.url else served(arguments.model) as url:
        for result in ask(url, arguments.photos):
            print(f"{result['image']}: {result.get('count', result.get('detail'))}")


@contextmanager
def served(model: str) -> Iterator[str]:
    """Run `crowdpoint serve` on a free port until the block ends, and yield its address."""
    command = ["crowdpoint", "serve", "--port", "0", "--model", model]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        line = server.stderr.readline() if server.stderr else ""  # printed when it is ready
        try:
            yield re.findall(r"http://\S+:\d+", line)[0]
        finally:
            server.terminate()


def ask(url: str, photos: Sequence[Path]) -> list[dict[str, object]]:
    """Post photos as a form, with the standard library only, and return one object per photo."""
    boundary, body = uuid.uuid4().hex, b""
    for photo in photos:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{photo.name}"\r\n\r\n'
        )
        body += head.encode() + photo.read_bytes() + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/predict", body, headers)) as answer:
        results: list[dict[str, object]] = json.load(answer)["results"]
    return results


if __name__ == "__main__":
    main()
