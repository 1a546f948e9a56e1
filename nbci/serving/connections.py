"""Connections that say nothing, or only half of what they have to say, do not last."""

from __future__ import annotations

import resource
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

MOST_CONNECTIONS = 8192
HAS_ROOM = "has_room"
"""In a request's state: whether it may be answered; health and metrics are in any case."""
_HEAD_SECONDS = 10.0


def connection_limit(wanted: int) -> int:
    """How many connections this process may have, of those that are wanted.

    Each is an open file. A quarter of the files is left for models and logs, and for connections
    beyond the limit.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, files * 3 // 4)


class Connections:
    """The connections of a process; `limit` is how many may be at work at a time.

    Where an eighth more are open, the one that was idle longest is closed for each that comes:
    clients that leave connections open keep nobody out. `closed` is called with `idle` for each.
    """

    def __init__(self, limit: int, closed: Callable[[str], None]) -> None:
        self._limit = limit
        # While the limit is reached, who asks after the server's health needs room, too.
        self._most = limit + max(1, limit // 8)
        self._closed = closed
        self._open: set[PatientProtocol] = set()
        # A dict takes ever longer to find its first key, where the first ones were removed.
        self._idle: OrderedDict[PatientProtocol, None] = OrderedDict()

    def add(self, connection: PatientProtocol) -> None:
        """Take one more, for which an idle one may have to go."""
        self._open.add(connection)
        if self._idle and len(self._open) > self._most:
            oldest = next(iter(self._idle))
            # At once: its end is known only later, when more may have come.
            self.remove(oldest)
            self._closed("idle")
            oldest.transport.abort()
        self._idle[connection] = None

    def is_idle(self, connection: PatientProtocol) -> bool:
        """Whether nothing that it asked waits for an answer."""
        return connection in self._idle

    def work(self, connection: PatientProtocol) -> bool:
        """Note that it has asked something; False where too many are at work to answer it."""
        if connection in self._idle:
            if len(self._open) - len(self._idle) >= self._limit:
                return False
            del self._idle[connection]
        return True

    def rest(self, connection: PatientProtocol) -> None:
        """Note that all that it asked is answered."""
        self._idle[connection] = None

    def remove(self, connection: PatientProtocol) -> None:
        """Forget one that is over."""
        self._open.discard(connection)
        self._idle.pop(connection, None)


class PatientProtocol(HttpToolsProtocol):
    """HTTP by httptools, with an end to waiting for the head of a request.

    uvicorn's own limit, `timeout_keep_alive`, begins behind the first answer, and ends with the
    first byte of the next request.
    """

    def __init__(self, all_connections: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._all = all_connections
        self._head_limit: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Give the client some seconds to send the head of its request."""
        super().connection_made(transport)
        self._all.add(self)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; its head has to be whole some seconds later."""
        super().data_received(data)
        if self._head_limit is None and self._all.is_idle(self):
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        """The head is there; the body has a limit of its own."""
        self._stop_waiting()
        # Here, not where it is answered: of many that come at once, only those beyond are refused.
        self.scope["state"][HAS_ROOM] = self._all.work(self)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Go on with what else was asked, or wait for the next request."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._all.rest(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limit with its connection."""
        self._stop_waiting()
        self._all.remove(self)
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._head_limit = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_limit is not None:
            self._head_limit.cancel()
            self._head_limit = None
