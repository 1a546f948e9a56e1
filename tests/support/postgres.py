"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "pa:ss-quagga"


class Server(Struct):
    """A server on this machine that wants a password; `stop` and `start` are for outages."""

    folder: Path
    port: int

    def url(self, database: str) -> str:
        """The address of a database, which is made when it is first asked for."""
        self.psql("postgres", f'CREATE DATABASE "{database}"')
        return f"postgresql://tester:pa%3Ass-quagga@127.0.0.1:{self.port}/{database}"

    def psql(self, database: str, command: str) -> str:
        """What a command prints."""
        words = ["-h", str(self.folder), "-p", str(self.port), "-U", "tester"]
        done = _run("psql", *words, "-d", database, "-Atc", command, env={"PGPASSWORD": PASSWORD})
        return done.strip()

    def start(self) -> None:
        settings = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = self.folder / "log"
        _run(
            "pg_ctl", "-D", str(self.folder / "data"), "-l", str(log), "-w", "-o", settings, "start"
        )

    def stop(self) -> None:
        _run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")


@contextlib.contextmanager
def postgres_server() -> Iterator[Server]:
    """A server without any table."""
    # The path of its socket must be short, and its user must be able to reach it.
    folder = Path(tempfile.mkdtemp(prefix="nbci-pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam(_USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        _run(
            *("initdb", "-D", str(folder / "data"), "-U", "tester", "--pwfile", str(password)),
            *("-A", "scram-sha-256", "--no-sync"),
        )
        server = Server(folder=folder, port=_free_port())
        server.start()
        try:
            yield server
        finally:
            # A test may have stopped it.
            with contextlib.suppress(subprocess.CalledProcessError):
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_USER = "postgres"
"""Whom Debian's package brings: the server refuses to run as root."""


def _run(program: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    user = None
    if os.geteuid() == 0:
        user = _USER
    done = subprocess.run(
        [str(_folder_of_programs() / program), *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if program == "psql" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if program == "psql" else subprocess.DEVNULL,
        user=user,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **(env or {})},
    )
    return (done.stdout or b"").decode()


def has_postgres() -> bool:
    """Whether a server is installed."""
    return _initdb() is not None


def _initdb() -> Path | None:
    """Where Debian has it, which is not on the PATH; else where the PATH has it."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if versions:
        return versions[-1]
    found = shutil.which("initdb")
    return None if found is None else Path(found)


def _folder_of_programs() -> Path:
    initdb = _initdb()
    assert initdb is not None, "no PostgreSQL server is installed"
    return initdb.parent


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
