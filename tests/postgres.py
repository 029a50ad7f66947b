"""A PostgreSQL server of the tests' own, which they may stop, start and kill connections of."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Debian keeps the programs of a server out of the PATH.
_FOLDERS = os.pathsep.join([os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
INITDB, PG_CTL = (shutil.which(program, path=_FOLDERS) for program in ("initdb", "pg_ctl"))

ACCOUNT = pwd.getpwnam("postgres") if os.geteuid() == 0 and INITDB else None
"""Who runs the server; None for the account of the tests. PostgreSQL refuses to run as root."""


class Server:
    """A server on a free port of this machine.

    Args:
        folder: an empty folder for its data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._run(INITDB, "--auth=trust", "--no-sync", "--username=crowdpoint")
        self.start()

    def url(self, database: str = "postgres") -> str:
        """The location of one of its databases, as `--db` takes it."""
        return f"postgresql+psycopg://crowdpoint@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run(PG_CTL, "start", "-w", "-t", "120", "-l", str(self._folder / "log"), "-o", options)

    def stop(self) -> None:
        """Ends it and all connections as a crash does."""
        self._run(PG_CTL, "stop", "-w", "-t", "120", "-m", "immediate")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Is down during the block, and up again after it, also if the block fails."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _run(self, program: str | None, *arguments: str) -> None:
        assert program is not None
        who: dict[str, Any] = {}
        if ACCOUNT:
            who = {"user": ACCOUNT.pw_uid, "group": ACCOUNT.pw_gid, "extra_groups": []}
        with tempfile.TemporaryFile() as said:  # a pipe would be open as long as the server runs
            done = subprocess.run(
                [program, "-D", str(self._folder / "data"), *arguments],
                cwd=self._folder,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
                **who,
            )
            said.seek(0)
            assert done.returncode == 0, said.read().decode()


@contextmanager
def running() -> Iterator[Server]:
    """A server that ends with the block."""
    # Not pytest's folder, which only the account of the tests may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if ACCOUNT:
            os.chown(folder, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
        server = Server(folder)
        try:
            yield server
        finally:
            server.stop()
