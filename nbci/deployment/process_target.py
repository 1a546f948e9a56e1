"""A server of nbci on this machine, which goes on when the command has ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import nbci
from nbci.deployment.keeper import LOG, OUTPUT, RECORD, KeptProcess
from nbci.deployment.kept_processes import birth_of, boot, end, listener_at, session_of
from nbci.deployment.programs import last_lines
from nbci.deployment.release_folder import CURRENT, ReleaseFolder
from nbci.deployment.server_client import Client
from nbci.deployment.target import TOKEN, NotReady, Placed, Running
from nbci.errors import InfrastructureError, IntegrityError, UsageError
from nbci.records.codec import from_json
from nbci.store.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbci.deployment.target import Bundle, Surroundings
    from nbci.pipeline.deploy_document import ProcessOptions

_BEFORE = "before.json"
"""The record of the server that is ended once the new one is ready."""
_POLL_SECONDS = 0.05
_DRAIN_SECONDS = 40.0
_HANDED_ON = frozenset(
    "HOME LANG LC_ALL LD_LIBRARY_PATH LOGNAME PATH PYTHONPATH SSL_CERT_DIR SSL_CERT_FILE TMPDIR TZ "
    "USER VIRTUAL_ENV XDG_CACHE_HOME XDG_CONFIG_HOME NBCI_CACHE".split()
)
"""What a server needs of the environment; a build's own secrets are none of its business."""
_LOG_TAIL = 3


class ProcessTarget:
    """A server on this machine, its releases and its logs in one folder.

    It is asked by the link `current` which release it serves, so that another one takes over
    without a gap. Where its settings change, another server takes its place.
    """

    def __init__(self, options: ProcessOptions, around: Surroundings) -> None:
        self._options = options
        self._around = around
        self._folder = around.folder
        self._releases = ReleaseFolder(around.folder)

    def running(self) -> Running | None:
        """The server that was started here, and the version that it says it serves."""
        record = self._record(RECORD)
        members = self._members(record) if record is not None else []
        if record is None or not members:
            return None
        address = self._address()
        version = None
        if address is not None:
            version = self._served_version(address)
        outdated = ""
        if version is None:
            outdated = "it does not answer"
        if record.pid not in members:
            outdated = "what kept it running has been killed"
        elif not self._is_as_wanted(record):
            outdated = "its settings, or nbci itself, are others now"
        return Running(
            version=version, what=f"process {record.pid}", address=address, outdated=outdated
        )

    def put(self, bundle: Bundle) -> Placed:
        """Have the server take the release, or start it; see `Target`."""
        check_open(self._options, self._around)
        self._end(_BEFORE)
        record = self._record(RECORD)
        members = self._members(record) if record is not None else []
        before = self._releases.version
        there = self.running()
        notes: list[str] = []
        # Before anything is written: nothing is to be half changed where the port is taken.
        if record is None or not members:
            self._refuse_taken_port()
        self._releases.place(bundle)
        self._releases.point_to(bundle.version)
        if record is not None and members:
            if there is None or there.outdated:
                notes.append(self._replace(record))
            # Asked to look, it would find what it serves already, and say nothing.
            elif there.version != bundle.version:
                self._switch(bundle)
        else:
            self._start()
        # Only now: until here, the version before was needed by the way back.
        self._releases.keep_only({bundle.version, before or bundle.version})
        return Placed(state="running", address=self._address(), notes=tuple(notes))

    def take_out(self) -> bool:
        """End the server; what it has begun is answered."""
        found = self._end(RECORD)
        self._end(_BEFORE)
        return found

    def _command(self) -> tuple[str, ...]:
        return serve_command(self._options, self._around)

    def _is_as_wanted(self, record: KeptProcess) -> bool:
        return record.command == self._command() and record.nbci == nbci.__version__

    def _switch(self, bundle: Bundle) -> None:
        """Have the running server look at the link; NotReady where it stays with what it has."""
        log = self._folder / LOG
        offset = log.stat().st_size
        began = (self._folder / OUTPUT).stat().st_mtime_ns
        record = self._record(RECORD)
        if record is None:
            raise NotReady("the record of the server has gone meanwhile")
        os.kill(record.pid, signal.SIGHUP)
        for _ in self._wait(record):
            # A server that died meanwhile and was started again has read the link by itself.
            if (self._folder / OUTPUT).stat().st_mtime_ns != began and self._first_line():
                return
            for event in _events(log, offset):
                if event.get("event") == "switched" and event.get("version") == bundle.version:
                    return
                if event.get("event") == "not followed":
                    raise NotReady(f"the server stays with what it has: {event.get('reason')}")

    def _replace(self, record: KeptProcess) -> str:
        """Start a server with other settings; the old one ends once that is ready, or before."""
        old = self._address() or ""
        os.replace(self._folder / RECORD, self._folder / _BEFORE)
        # One port has one server: then there is a gap, which is said.
        keeps_port = self._options.port != 0 and old.endswith(f":{self._options.port}")
        is_whole = birth_of(record.pid) == record.birth
        if keeps_port or not is_whole:
            self._end(_BEFORE)
            self._start()
            if not is_whole:
                return "the server was started anew: what kept it running had been killed"
            return "the server was started anew, since its settings or nbci itself changed"
        self._refuse_taken_port()
        self._start()
        self._end(_BEFORE)
        return f"another server took the place of the one at {old}, which has ended"

    def _start(self) -> None:
        """Start the server, and wait until it answers; NotReady where it does not."""
        with disk_errors(self._folder):
            (self._folder / OUTPUT).write_bytes(b"")
            (self._folder / RECORD).unlink(missing_ok=True)
        command = self._command()
        keeper = [sys.executable, "-m", "nbci.deployment.keeper", str(self._folder), *command]
        log = str(self._folder / LOG)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        # Not Popen, which would warn of a process that outlives it.
        pid = os.posix_spawn(
            sys.executable,
            keeper,
            self._environ(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, append, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )
        begun = KeptProcess(pid=pid, birth=birth_of(pid) or "", command=command, nbci="")
        for _ in self._wait(begun):
            if self._first_line():
                return

    def _environ(self) -> dict[str, str]:
        environ = self._around.environ
        # The token is handed on here and nowhere else; what coverage and tests add has a prefix.
        kept = {name: environ[name] for name in _HANDED_ON & environ.keys()}
        if environ.get(TOKEN):
            kept[TOKEN] = environ[TOKEN]
        # Jenkins ends what carries the cookie of a build once that is over.
        kept["JENKINS_NODE_COOKIE"] = "dontKillMe"
        return kept

    def _wait(self, process: KeptProcess) -> Iterator[None]:
        """Each turn look again; NotReady once the process has ended, or the time is over."""
        deadline = time.monotonic() + self._around.ready_seconds
        while True:
            lives = birth_of(process.pid) == process.birth
            yield
            if not lives:
                raise NotReady(f"the server ended: {self._last_words()}")
            if time.monotonic() > deadline:
                raise NotReady(
                    f"the server was not ready within {self._around.ready_seconds:g} s: "
                    f"{self._last_words()}"
                )
            time.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        try:
            text = (self._folder / LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        return last_lines(text, _LOG_TAIL)

    def _served_version(self, address: str) -> str | None:
        client = Client(address, self._around.environ)
        model = self._around.model
        found = client.version(model)
        if found is not None:
            return found
        # A release of several files serves each under a name of its own, none under the model's.
        named = self._first_line().removeprefix("serving ").partition("@")[0]
        if named == model and client.is_ready():
            return self._releases.version
        return None

    def _first_line(self) -> str:
        try:
            text = (self._folder / OUTPUT).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        line, end_of_line, _ = text.partition("\n")
        # Half a line is being written.
        return line if end_of_line else ""

    def _address(self) -> str | None:
        """Where the server said that it listens; None before it has."""
        _, _, address = self._first_line().rpartition(" at ")
        # An address for all of the machine's own is asked at this one.
        for everywhere in ("//0.0.0.0:", "//[::]:"):
            address = address.replace(everywhere, "//127.0.0.1:")
        return address or None

    def _record(self, name: str) -> KeptProcess | None:
        path = self._folder / name
        try:
            return from_json(path.read_bytes(), KeptProcess, str(path))
        # A file that was cut short tells of nothing that could be found.
        except (OSError, IntegrityError):
            return None

    def _members(self, record: KeptProcess) -> list[int]:
        """The processes of that server which are still there; none where its number is reused."""
        birth = birth_of(record.pid)
        if birth == record.birth:
            return session_of(record.pid)
        if birth is not None or not record.birth.startswith(boot()):
            return []
        # The one that kept the server was killed, and the server goes on.
        return [pid for pid in session_of(record.pid) if self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        import psutil

        with contextlib.suppress(psutil.Error):
            return str(self._folder / CURRENT) in psutil.Process(pid).cmdline()
        return False

    def _end(self, name: str) -> bool:
        """End the server of that record; whether it was there."""
        record = self._record(name)
        members: list[int] = []
        if record is not None:
            members = self._members(record)
        if record is not None and birth_of(record.pid) == record.birth:
            # First in order: it hands the signal on, and ends when the server has.
            end([record.pid], _DRAIN_SECONDS)
        end(members, _DRAIN_SECONDS)
        with disk_errors(self._folder):
            (self._folder / name).unlink(missing_ok=True)
        return bool(members)

    def _refuse_taken_port(self) -> None:
        """InfrastructureError where a program that was not started here listens at the port."""
        host, port = self._options.host, self._options.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
                return
            except OSError as error:
                reason = error.strerror
        raise InfrastructureError(
            f"the port {port} of {host} is taken by {listener_at(port)}: {reason}",
            hint="nothing was ended; give the deployment another `port`, or end that program",
        )


def check_open(options: ProcessOptions, around: Surroundings) -> None:
    """UsageError where other machines could ask, and nothing says that they may."""
    host = options.host
    is_own = host in ("localhost", "::1") or host.startswith("127.")
    if is_own or options.open or around.environ.get(TOKEN):
        return
    raise UsageError(
        f"other machines could ask {around.name} at {host}, and there is no token",
        hint=f"set {TOKEN}, or write `open: true` to let everybody ask",
    )


def serve_command(options: ProcessOptions, around: Surroundings) -> tuple[str, ...]:
    """The command line of the server.

    The whole of it is remembered: where anything of it changes, another server is started.
    """
    words = [sys.executable, "-m", "nbci", "serve", around.model]
    words += ["--from", str(around.folder / CURRENT)]
    # With `=`: a value that begins with a dash is no option.
    words += [f"--host={options.host}", "--port", str(options.port)]
    words += ["--workers", str(options.workers), "--threads", str(options.threads)]
    if options.open:
        words.append("--open")
    if options.log is not None:
        words += ["--log", str(around.project / options.log)]
    return tuple(words)


def _events(log: Path, offset: int) -> Iterator[dict[str, Any]]:
    """What a server wrote into its log since then, as far as it is JSON."""
    with open(log, "rb") as file:
        file.seek(offset)
        lines = file.read().splitlines()
    for line in lines:
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                yield event
