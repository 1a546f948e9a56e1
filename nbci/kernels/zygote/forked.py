"""A kernel's process that is a zygote's child, with the face of `subprocess.Popen`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

from nbci.kernels.zygote import wire

if TYPE_CHECKING:
    import socket

UNKNOWN_STATUS = -int(signal.SIGKILL)
"""The status of a process whose zygote died with it."""

STATUS_SECONDS = 10.0
QUICKLY_SECONDS = 0.02


class ForkedProcess:
    """A kernel that lives as long as the connection to its zygote is open."""

    stdin: Any = None
    stdout: Any = None
    stderr: Any = None

    def __init__(self, connection: socket.socket, pid: int, pidfd: int, *, parent: int) -> None:
        self.pid = pid
        self.parent = parent
        self.returncode: int | None = None
        self.lost = False
        """Whether its zygote ended first, or let it go."""
        self._connection = connection
        self._pidfd = pidfd
        self._ready = False
        self._ended_at: float | None = None

    @property
    def pidfd(self) -> int:
        """Becomes readable when the process ends."""
        return self._pidfd

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until its sockets are bound; False when it ended before. Blocks."""
        self._take(seconds)
        return self._ready

    def has_ended(self) -> bool:
        """Whether it has ended, though how may not be known yet."""
        return self.returncode is not None or bool(select.select([self._pidfd], [], [], 0)[0])

    def poll(self) -> int | None:
        """Its exit status, negative for a signal, or None while it runs or its zygote is too busy
        to tell.
        """
        if self.returncode is None and self.has_ended():
            self._take(QUICKLY_SECONDS)
            self._ended_at = self._ended_at or time.monotonic()
            if time.monotonic() > self._ended_at + STATUS_SECONDS:
                self._end(UNKNOWN_STATUS)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end; None when it still runs after `timeout`."""
        if self.returncode is None and select.select([self._pidfd], [], [], timeout)[0]:
            while self.poll() is None:
                pass
        return self.returncode

    def _take(self, seconds: float) -> None:
        """Take in one message of the zygote's."""
        try:
            self._connection.settimeout(seconds)
            said: dict[str, Any]
            said, _ = wire.receive(self._connection)
        except TimeoutError:
            return
        except (OSError, ValueError, wire.Gone):
            self.lost = True
            self._end(UNKNOWN_STATUS)
            return
        if said.get("ready"):
            self._ready = True
        if "exit" in said:
            self._end(int(said["exit"]))

    def _end(self, status: int) -> None:
        if status == UNKNOWN_STATUS and not select.select([self._pidfd], [], [], 0)[0]:
            self.kill()  # it lost its zygote, and dies
            select.select([self._pidfd], [], [], STATUS_SECONDS)
        if self.returncode is not None:
            return
        self.returncode = status
        self._connection.close()
        os.close(self._pidfd)
        self._pidfd = -1

    def send_signal(self, number: int) -> None:
        """Send a signal to the process alone."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)
