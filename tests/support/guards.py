"""What no test may do: touch the user's own files, reach the network, leave a process behind."""

from __future__ import annotations

import os
import signal
import socket
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.tools import JENKINS

if TYPE_CHECKING:
    from pathlib import Path

MARK = "PYTEST_NBCI_MARK"
"""In the environment of every process that a test starts, so that strays are known whoever their
parent is.
"""

_DROPPED_PREFIXES = ("NBCI_", "GIT_", "JUPYTER", "DVC_", "XDG_", "PAPERMILL_")
_DROPPED = {
    "IPYTHONDIR",
    "MPLCONFIGDIR",
    "PYTHONSTARTUP",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "PYTHONHASHSEED",
    "COLUMNS",
    "CHANGE_FORK",
}


def isolate_environment(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Give this process and its children an empty home, and nothing of the user's settings."""
    for name in [
        name for name in os.environ if name.startswith(_DROPPED_PREFIXES) or name in _DROPPED
    ]:
        patch.delenv(name)
    home.mkdir(parents=True, exist_ok=True)
    (home / "gitconfig").write_text(
        (
            "[user]\n\tname = A Tester\n\temail = tester@example.com\n[init]\n"
            "\tdefaultBranch = main\n[gc]\n\tauto = 0\n"
        ),
        encoding="utf-8",
    )
    patch.setenv("HOME", str(home))
    for name in ("CONFIG", "CACHE", "DATA", "STATE"):
        patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    for name in ("CONFIG", "DATA", "RUNTIME"):
        patch.setenv(f"JUPYTER_{name}_DIR", str(home / "jupyter" / name.lower()))
    patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    patch.setenv("IPYTHONDIR", str(home / "ipython"))
    patch.setenv("MPLCONFIGDIR", str(home / "matplotlib"))
    patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("GIT_TERMINAL_PROMPT", "0")
    patch.setenv(MARK, uuid.uuid4().hex)


def listen_to_interrupts() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, which programs that tests
    start would inherit.
    """
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def forbid_network(patch: pytest.MonkeyPatch) -> None:
    """Let sockets of this process connect to this machine only, and to a controller if given."""
    real = socket.socket.connect
    controller = _addresses_of_controller()

    def connect(self: socket.socket, address: Any) -> None:
        host = address[0]
        if (
            self.family in {socket.AF_INET, socket.AF_INET6}
            and not _is_loopback(host)
            and host not in controller
        ):
            pytest.fail(f"a test tried to reach {address[0]}:{address[1]}")
        real(self, address)

    patch.setattr(socket.socket, "connect", connect)


def _addresses_of_controller() -> set[str]:
    host = urlsplit(JENKINS.get("NBCI_JENKINS_URL", "")).hostname
    if host is None:
        return set()
    return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1", ""} or host.startswith("127.")


def end_strays(grace_seconds: float = 5) -> list[str]:
    """End the processes that tests started and left behind; their command lines."""
    strays = _marked_processes()
    _, alive = psutil.wait_procs(strays, timeout=grace_seconds)
    described = [_describe(process) for process in alive]
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=grace_seconds)
    return described


def _marked_processes() -> list[psutil.Process]:
    mark = os.environ[MARK]
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _has_mark(process, mark)
    ]


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        # multiprocessing's own server processes live as long as the tests do
        return process.environ().get(MARK) == mark and "multiprocessing" not in " ".join(
            process.cmdline()
        )
    except (psutil.Error, OSError):
        return False


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline())[:200] or process.name()}"
    except psutil.Error:
        return str(process.pid)
