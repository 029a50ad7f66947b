import subprocess
import sys

import pytest
import typer
from command_line import crowdpoint

import crowdpoint as package
from crowdpoint import cli, errors

HEAVY = ("torch", "onnxruntime", "scipy", "cv2", "numpy", "PIL", "rich")


def test_version_and_help() -> None:
    assert crowdpoint("--version") == (0, f"crowdpoint {package.__version__}\n", "")
    help_ = crowdpoint("--help")
    assert help_.code == 0
    for command in ("predict", "evaluate", "score", "train", "export", "import", "bench", "models"):
        assert command in help_.out


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "crowdpoint", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"crowdpoint {package.__version__}\n"


def test_no_command_and_an_unknown_one() -> None:
    nothing, unknown = crowdpoint(), crowdpoint("fly")
    assert "Usage: crowdpoint [OPTIONS] COMMAND" in nothing.out + nothing.err
    assert unknown.code == 2
    assert "No such command 'fly'" in unknown.err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from crowdpoint.cli import main; sys.argv = ['crowdpoint', '--help']\n"
        "try: main()\n"
        "except SystemExit as error: assert not error.code\n"
        f"print(sorted(sys.modules.keys() & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("recipe.yaml: bad"), 2),
        (errors.ModelError("x: no such model"), 2),
        (errors.MissingExtraError("training", "train"), 2),
        (errors.ImageError("a.jpg: empty"), 1),
        (errors.TrainingError("loss: not finite"), 1),
    ],
)
def test_errors_for_people_are_one_line(
    monkeypatch: pytest.MonkeyPatch, error: errors.CrowdpointError, code: int
) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)
    assert crowdpoint() == (code, "", f"crowdpoint: {error}\n")
