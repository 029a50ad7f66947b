import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import typer
from command_line import crowdpoint
from PIL import Image

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
        f"print(sorted(sys.modules.keys() & set({HEAVY!r})))\n"
        "print([name for name in sys.modules if name.startswith('crowdpoint.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["[]", "[]"]


def test_a_video_loads_no_database_and_no_parquet_before_it_writes_one() -> None:
    code = "import sys, crowdpoint.cli.video; print(sys.modules.keys() & {'pyarrow', 'sqlalchemy'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_scores_as_json_load_no_package_of_pictures_and_tables(tmp_path: Path) -> None:
    (tmp_path / "points.txt").write_text("1 1 5 5\n")
    arguments = [
        "score",
        "--pred",
        str(tmp_path / "points.txt"),
        "--gt",
        str(tmp_path / "points.txt"),
        "--json",
    ]
    code = (
        "import sys; from crowdpoint.cli import main\n"
        f"sys.argv = ['crowdpoint', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit as error: assert not error.code\n"
        "print(sorted(sys.modules.keys() & {'PIL', 'cv2', 'rich', 'scipy', 'ssl'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert '"mae":0.0' in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("entry", "frozen"), [("cli import main", False), ("__main__ import run", True)])
def test_the_garbage_collector_skips_modules_in_a_process_of_its_own_only(entry: str, frozen: bool) -> None:
    code = (
        f"import gc, sys; from crowdpoint.{entry} as enter\n"
        "def loading(): return 'crowdpoint.cli.options' in sys.modules and not gc.get_freeze_count()\n"
        "early = []; gc.callbacks.append(lambda *_: loading() and early.append(1))\n"
        "sys.argv[1:] = ['predict', '--help']\n"
        "try: enter()\n"
        "except SystemExit: print(gc.isenabled(), gc.get_freeze_count() > 10_000, not early)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"True {frozen} {frozen}"


@pytest.mark.parametrize("arguments", [("fly",), ("video", "a.mp4"), ("predict", "a.png", "--engine")])
def test_wrong_usage_repeats_no_secret(arguments: tuple[str, ...]) -> None:
    outcome = crowdpoint(*arguments, "rtsp://user:secret@camera/main")
    assert outcome.code == 2
    assert "secret" not in outcome.err


def test_an_unknown_command_repeats_no_secret() -> None:
    assert "No such command 'rtsp://***@camera'" in crowdpoint("rtsp://user:secret@camera").err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_has_the_first_line_of_their_help(name: str) -> None:
    help_ = crowdpoint(name, "--help")
    assert help_.code == 0
    usage, about = help_.out.split("\n\n")[:2]
    assert usage.startswith(f"Usage: crowdpoint {name} ")
    assert " ".join(about.split()).startswith(cli.COMMANDS[name].rstrip("."))


def test_every_module_of_a_command_is_listed() -> None:
    modules = [module.name for module in iter_modules(cli.__path__)]
    commands = [name for name in modules if hasattr(import_module(f"crowdpoint.cli.{name}"), name)]
    assert sorted(name.rstrip("_") for name in commands) == sorted(cli.COMMANDS)


@pytest.mark.parametrize(
    ("command", "package"), [("batch", "pyarrow"), ("serve", "uvicorn"), ("video", "av")]
)
def test_a_missing_extra_is_one_line(command: str, package: str) -> None:
    code = (
        "import sys; from crowdpoint.cli import main\n"
        f"sys.modules[{package!r}] = None; sys.argv = ['crowdpoint', {command!r}, '--help']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    advice = f"crowdpoint {command} needs an optional dependency: pip install 'crowdpoint[{command}]'"
    assert (done.returncode, done.stderr) == (2, f"crowdpoint: {advice}\n")


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


def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path) -> None:
    name = "x" * 300
    (tmp_path / "photo.png").touch()
    assert crowdpoint("predict", tmp_path, "--model", name) == (
        1,
        "",
        f"crowdpoint: {name}: File name too long\n",
    )


def test_quiet_and_verbose(tiny: Path, tmp_path: Path) -> None:
    Image.new("RGB", (32, 16), "white").save(tmp_path / "photo.png")
    (tmp_path / "film.mp4").touch()
    (tmp_path / "broken.png").touch()
    command = ("predict", tmp_path, "--model", tiny, "--scale", 0.5)
    quiet, usual, verbose = (crowdpoint(*option, *command).err for option in (["-q"], [], ["-v"]))
    (error, *_) = quiet.splitlines()
    assert error.startswith(f"crowdpoint: {tmp_path / 'broken.png'}: ")
    assert "film" not in quiet
    assert f"crowdpoint: {tmp_path}: 1 file is left out: 1 .mp4" in usual
    assert set(usual.splitlines()) < set(verbose.splitlines())
    assert f"{tmp_path / 'photo.png'}: 32x16 pixels, seen at 16x8\n" in verbose
    assert f"{tiny}: run by onnx\n" in verbose
    assert (crowdpoint(*command, "-q").err, crowdpoint(*command, "--verbose").err) == (quiet, verbose)
    for options in (("-q", "-v", *command), (*command, "-v", "-q"), ("-q", *command, "-v")):
        outcome = crowdpoint(*options)
        assert outcome.code == 2
        assert "exclude each other" in outcome.err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_may_be_quiet_or_verbose(name: str) -> None:
    help_text = crowdpoint(name, "--help").out
    assert "-q, --quiet" in help_text
    assert "-v, --verbose" in help_text


def test_the_package_configures_no_logging() -> None:
    code = (
        "import logging, crowdpoint.cli.predict\n"
        "print(logging.root.handlers, logging.getLogger('crowdpoint').handlers)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


@pytest.mark.parametrize("command", [("predict", "{folder}"), ("batch", "{folder}", "{folder}/out")])
def test_a_damaged_picture_is_one_line_without_warnings_of_its_reader(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    path = tmp_path / "cut.tif"
    path.write_bytes(b"II*\0\x08\0\0\0")
    arguments = [sys.executable, "-m", "crowdpoint", *(part.format(folder=tmp_path) for part in command)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"crowdpoint: {path}: cannot be read as an image")
