"""Nothing that runs a network calls anybody."""

import ast
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from tiny_models import write_tiny

import crowdpoint
from crowdpoint.predict.engine import disable_telemetry

PACKAGE = Path(crowdpoint.__file__).parent
REPORTING = {"onnxruntime", "openvino"}

PREDICT = """
import sys, time
from pathlib import Path
import crowdpoint, numpy as np
model = crowdpoint.load(sys.argv[1], engine=sys.argv[2])
model.predict(np.zeros((16, 16, 3), np.uint8))
time.sleep(float(sys.argv[3]))  # ONNX Runtime first reports some seconds after its start
"""

NAME_SERVER = """
import socket, subprocess, sys, threading, time
from pathlib import Path
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo"], check=True)  # every address is here
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
asked, server = [], socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))

def answer():
    while True:
        query, client = server.recvfrom(4096)
        asked.append(query[12:-5])
        server.sendto(query[:2] + b"\\x81\\x83" + query[4:6] + bytes(6) + query[12:], client)  # no such name

def watch():
    while True:
        packet = sniffer.recv(4096)
        if packet[16] != 127:
            asked.append(socket.inet_ntoa(packet[16:20]))

sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
threading.Thread(target=watch, daemon=True).start()
threading.Thread(target=answer, daemon=True).start()
done = subprocess.run(sys.argv[2:], check=True)
last = "192.0.2.255"
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", (last, 9))
while last not in asked:  # packets arrive in order
    time.sleep(0.01)
print([one for one in asked if one != last])
"""


def _alone(resolver: Path, *command: str) -> str:
    """Runs a command in a network namespace of its own; the names that it looked up, as text."""
    unshare = ["unshare", "--map-root-user", "--net", "--mount"]
    if (
        shutil.which("unshare") is None
        or shutil.which("ip") is None
        or subprocess.run([*unshare, "true"], capture_output=True).returncode
    ):
        pytest.skip("no network namespace can be made here: sysctl -w kernel.unprivileged_userns_clone=1")
    resolver.write_text("nameserver 127.0.0.1\n")
    server = [sys.executable, "-c", NAME_SERVER, str(resolver), *command]
    environment = os.environ | {"TMPDIR": str(resolver.parent)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run([*unshare, *server], capture_output=True, text=True, env=environment, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_lookup_in_the_namespace_is_seen(tmp_path: Path) -> None:
    look = "import socket\ntry: socket.getaddrinfo('crowd.example', 80)\nexcept OSError: pass"
    assert "example" in _alone(tmp_path / "resolv.conf", sys.executable, "-c", look)
    call = "import socket\ntry: socket.create_connection(('192.0.2.7', 443), 1)\nexcept OSError: pass"
    assert "192.0.2.7" in _alone(tmp_path / "resolv.conf", sys.executable, "-c", call)


@pytest.mark.parametrize(("engine", "seconds"), [("onnx", 12), ("openvino", 3), ("torch", 1)])
def test_no_engine_looks_up_a_name(tmp_path: Path, engine: str, seconds: int) -> None:
    tiny = "p2pnet-lite" if engine == "torch" else str(write_tiny(tmp_path / "tiny.onnx"))
    if engine == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed: pip install -e '.[openvino]'")
    command = (sys.executable, "-c", PREDICT, tiny, engine, str(seconds))
    assert _alone(tmp_path / "resolv.conf", *command) == "[]"
    assert not (tmp_path / ".ses").exists()  # ONNX Runtime's note of its session


COMMANDS = {
    "predict": "crowdpoint('predict', photo, '--model', model)",
    "serve": """
address = "http://127.0.0.1:8765"
server = crowdpoint("serve", "--model", model, "--port", "8765", "--workers", "1", wait=False)
for _ in range(1200):
    try:
        urllib.request.urlopen(address + "/healthz").close()
        break
    except OSError:
        time.sleep(0.1)
else:
    raise SystemExit("the server does not answer")
time.sleep(12)  # ONNX Runtime first reports some seconds after its start
server.terminate()
server.wait()
""",
}
PREAMBLE = """
import subprocess, sys, time, urllib.request
model, photo = sys.argv[1:]

def crowdpoint(*arguments, wait=True):
    process = subprocess.Popen([sys.executable, "-m", "crowdpoint", *arguments], stdout=subprocess.DEVNULL)
    assert not wait or process.wait() == 0
    return process
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_opens_a_connection(tmp_path: Path, command: str) -> None:
    tiny, photo = write_tiny(tmp_path / "tiny.onnx"), tmp_path / "a.png"
    Image.new("RGB", (40, 30)).save(photo)
    code = PREAMBLE + COMMANDS[command]
    assert _alone(tmp_path / "resolv.conf", sys.executable, "-c", code, str(tiny), str(photo)) == "[]"


def test_the_switch_is_set_before_onnx_runtime_is_loaded(tmp_path: Path) -> None:
    """Where no namespace can be made: the variable that ONNX Runtime documents, at its import."""
    tiny = write_tiny(tmp_path / "tiny.onnx")
    code = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'onnxruntime': print(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import crowdpoint\n"
        f"crowdpoint.load({str(tiny)!r})\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "1"


def test_packages_with_telemetry_are_imported_with_it_off() -> None:
    """Every import of such a package stands in `with disable_telemetry()`, or is for type checkers."""
    found = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        guarded = {
            id(inner)
            for node in ast.walk(tree)
            if (isinstance(node, ast.With) and ast.unparse(node.items[0]) == "disable_telemetry()")
            or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if REPORTING & {name.partition(".")[0] for name in names}:
                assert id(node) in guarded, f"{path}: {ast.unparse(node)}"
                found += 1
    assert found >= 3


def test_threads_may_load_models_at_once() -> None:
    def load() -> None:
        for _ in range(5):
            with disable_telemetry():
                assert sys.modules["openvino_telemetry"] is None
                time.sleep(0.002)

    before = sys.modules.get("openvino_telemetry")
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(load) for _ in range(4)]:
            done.result()
    assert sys.modules.get("openvino_telemetry") is before
