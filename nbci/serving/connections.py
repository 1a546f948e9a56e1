"""Connections: their number, their limits in time, and large bodies read without copies."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httptools
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

MOST_CONNECTIONS = 8192
ACCEPTED_AT_ONCE = 32
_OTHER_FILES = 4 * ACCEPTED_AT_ONCE
HAS_ROOM = "has_room"
"""In a request's state: whether it may be answered; health and metrics are in any case."""
_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n|$)", re.IGNORECASE)
READER = "nbci.read_body"
"""The key of an ASGI scope whose value reads its body at once, where it is large."""
_PART_BYTES = 64 * 2**10
_PART = memoryview(bytearray(_PART_BYTES))
"""Where all connections read what they are sent: it is parsed before another one reads."""


def connection_limit(wanted: int) -> int:
    """How many connections this process may have, of those that are wanted.

    Each is an open file. Some are left for models and logs, for connections beyond the limit, and
    for those that are accepted before others are closed for them.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(1, (files - _OTHER_FILES) * 3 // 4))


class Connections:
    """The connections of a process; `limit` is how many may be at work at a time.

    Where an eighth more are open, the one that was idle longest is closed for each that comes:
    clients that leave connections open keep nobody out. `closed` is called with `idle` for each.
    """

    def __init__(self, limit: int, head_seconds: float, closed: Callable[[str], None]) -> None:
        """`head_seconds` is how long the head of a request may take to come."""
        self.head_seconds = head_seconds
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


class LargeBodyProtocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """HTTP by httptools, whose large bodies are read right into the memory in which they stay.

    By way of the parser, uvicorn and a stream of parts, an image would be copied five times.
    """

    _body: memoryview | None = None
    _read_bytes = 0

    def on_headers_complete(self) -> None:
        """Have the body read at once, where it is large and is the next that comes."""
        before = cast("RequestResponseCycle | None", self.cycle)
        super().on_headers_complete()
        # A request that comes before the answer to the one before waits in uvicorn's queue.
        is_waiting = before is not None and not before.response_complete
        if is_waiting or self.expect_100_continue:
            return
        # The parser has refused what is no length, and two of them.
        length = int(dict(self.headers).get(b"content-length", b"0"))
        if length > _PART_BYTES:
            scope = cast("dict[str, Any]", self.scope)
            scope[READER] = partial(self._read_body, self.cycle, length)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport is to put what the client sends next."""
        return _PART if self._body is None else self._body[self._read_bytes :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the transport has put there."""
        if self._body is None:
            self.data_received(bytes(_PART[:nbytes]))
            return
        self._read_bytes += nbytes
        if self._read_bytes == len(self._body):
            self._body = None
            self.cycle.more_body = False
            self.cycle.message_event.set()

    async def _read_body(self, cycle: RequestResponseCycle, length: int) -> memoryview:
        """The whole body of a request; ClientDisconnect where the client goes before."""
        import numpy as np

        # Unlike those of a bytearray, its bytes are not set to zero first.
        body = np.empty(length, np.uint8).data
        self._read_bytes = len(cycle.body)
        body[: self._read_bytes] = cycle.body
        cycle.body = bytearray()
        if cycle.more_body:
            self._body = body
            # The one of before would take the next request for the rest of this body.
            self.parser = _new_parser(self)
            self.flow.resume_reading()
        while cycle.more_body and not cycle.disconnected:
            cycle.message_event.clear()
            await cycle.message_event.wait()
        if cycle.more_body:
            raise ClientDisconnect
        # The parser may see the end before: what was never written is others' memory.
        return body[: self._read_bytes]

    def connection_lost(self, exc: Exception | None) -> None:
        """Let a request that waits for its body know."""
        # Else the two would hold each other until Python looks for such circles.
        if self.scope is not None:
            cast("dict[str, Any]", self.scope).pop(READER, None)
        super().connection_lost(exc)


def _new_parser(protocol: HttpToolsProtocol) -> httptools.HttpRequestParser:
    """A parser as uvicorn makes it, at the start of a request."""
    parser = httptools.HttpRequestParser(protocol)
    # As there: the first version of httptools that has it is younger than those that work.
    with contextlib.suppress(AttributeError):
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _without_upgrade(data: bytes) -> bytes:
    """The start of a request that asks for HTTP/2, as one that does not.

    Java's client and `curl --http2` ask so with their first request. The parser would take its body
    for bytes of another protocol, and the server may go on with this one (RFC 9110, 7.8).
    """
    head, end, body = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"", head) + end + body


class PatientProtocol(LargeBodyProtocol):
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
        if self._head_limit is not None and b"h2c" in data:
            data = _without_upgrade(data)
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
        # One that is closing, too: it is open until its client has read the answer.
        if self.cycle.response_complete:
            self._all.rest(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limit with its connection."""
        self._stop_waiting()
        self._all.remove(self)
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._head_limit = self.loop.call_later(self._all.head_seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_limit is not None:
            self._head_limit.cancel()
            self._head_limit = None
