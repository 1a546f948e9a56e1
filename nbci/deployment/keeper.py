"""Keep a server running after the command that started it has ended: `python -m` this module.

It starts the server again where it dies, hands SIGHUP and SIGTERM on to it, and ends with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from msgspec import Struct

import nbci
from nbci.deployment.kept_processes import birth_of
from nbci.errors import ExitCode
from nbci.records.codec import to_json
from nbci.store.files import write_atomic

RECORD = "process.json"
OUTPUT = "server.out"
LOG = "server.log"
_NOT_AGAIN = (ExitCode.SUCCESS, ExitCode.USAGE, ExitCode.INTEGRITY)
"""Exit codes of a server that would end in the same way again."""
_DEATHS = 5
_DEATHS_WITHIN_SECONDS = 60.0
_PAUSE_SECONDS = 0.5


class KeptProcess(Struct, frozen=True, kw_only=True):
    """A server that is kept: the process that keeps it, when that began, and what it runs.

    `nbci` is the version that serves.
    """

    pid: int
    birth: str
    command: tuple[str, ...]
    nbci: str


class Keeper:
    """Keeps one server running; its output and log are files in `folder`."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._folder = folder
        self._command = command
        self._server: subprocess.Popen[bytes] | None = None
        self._is_ending = False
        self._deaths: list[float] = []

    def keep(self) -> int:
        """Keep it until it is told to end, or dies again and again; returns its exit code."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._hand_on)
        # Before the server begins: whoever finds its port taken finds out by whom.
        write_atomic(self._folder / RECORD, to_json(self._record()))
        while True:
            code, was_ready = self._run()
            if self._is_ending or code in _NOT_AGAIN:
                return code
            # A server that was never ready would not be the next time.
            if not was_ready and not self._deaths:
                return code
            if self._dies_too_often():
                return code

    def _record(self) -> KeptProcess:
        pid = os.getpid()
        return KeptProcess(
            pid=pid,
            birth=birth_of(pid) or "",
            command=tuple(self._command),
            nbci=nbci.__version__,
        )

    def _run(self) -> tuple[int, bool]:
        """The server's exit code, and whether it was ready."""
        output = self._folder / OUTPUT
        with open(output, "wb") as out, open(self._folder / LOG, "ab") as log:
            # Its output begins anew each time, so that its first line says where it listens now.
            self._server = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )
        # Told to end just before it was there.
        if self._is_ending:
            self._server.terminate()
        code = self._server.wait()
        return code, output.stat().st_size > 0

    def _dies_too_often(self) -> bool:
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _DEATHS_WITHIN_SECONDS]
        self._deaths.append(now)
        if len(self._deaths) >= _DEATHS:
            return True
        # Longer each time: what is short for a while, such as memory, comes back.
        time.sleep(_PAUSE_SECONDS * len(self._deaths))
        return self._is_ending

    def _hand_on(self, number: int, _: object) -> None:
        if number != signal.SIGHUP:
            self._is_ending = True
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(number)


def main() -> int:
    """Keep the server whose command line follows the folder."""
    folder, *command = sys.argv[1:]
    # A session of its own: neither the end of a terminal nor that of a build reaches it.
    os.setsid()
    os.chdir(folder)
    return Keeper(Path(folder), command).keep()


if __name__ == "__main__":
    sys.exit(main())
