"""A kernel's process that was forked from a zygote, with the interface of `subprocess.Popen`."""

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
"""How long a zygote that is busy importing may take to report a status."""
STATUS_POLL_SECONDS = 0.02


class ForkedProcess:
    """A kernel that lives as long as the connection to its zygote is open.

    It is no child of this process, so the system does not tell how it ended: the zygote does.
    """

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
        # A pid may be another process's by the time that it is used; a pidfd may not.
        self._pidfd = pidfd
        self._ready = False
        self._ended_at: float | None = None

    @property
    def pidfd(self) -> int:
        """Becomes readable when the process ends."""
        return self._pidfd

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until its sockets are bound; False when it ended before. Blocks."""
        self._receive(seconds)
        return self._ready

    def has_ended(self) -> bool:
        """Whether it has ended, though how may not be known yet."""
        return self.returncode is not None or self._ends_within(0)

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it is not known.

        That is so while it runs, and while its zygote is too busy to report it.
        """
        if self.returncode is None and self.has_ended():
            self._receive(STATUS_POLL_SECONDS)
            self._ended_at = self._ended_at or time.monotonic()
            if time.monotonic() > self._ended_at + STATUS_SECONDS:
                self._end(UNKNOWN_STATUS)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end; None when it still runs after `timeout`."""
        if self.returncode is None and self._ends_within(timeout):
            while self.poll() is None:
                pass
        return self.returncode

    def _ends_within(self, seconds: float | None) -> bool:
        return bool(select.select([self._pidfd], [], [], seconds)[0])

    def _receive(self, seconds: float) -> None:
        """Receive one message of the zygote's: that the kernel is ready, or how it ended."""
        message: dict[str, Any]
        try:
            self._connection.settimeout(seconds)
            message, _ = wire.receive(self._connection)
        except TimeoutError:
            return
        except (OSError, ValueError, wire.Gone):
            self.lost = True
            self._end(UNKNOWN_STATUS)
            return
        if message.get("ready"):
            self._ready = True
        if "exit" in message:
            self._end(int(message["exit"]))

    def _end(self, status: int) -> None:
        # A kernel dies with its zygote (PR_SET_PDEATHSIG); one that was let go must end, too.
        if status == UNKNOWN_STATUS and not self._ends_within(0):
            self.kill()
            self._ends_within(STATUS_SECONDS)
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
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)
