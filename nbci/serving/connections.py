"""Connections that say nothing, or only half of what they have to say, do not last."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_FIRST_REQUEST_SECONDS = 10.0


class PatientProtocol(HttpToolsProtocol):
    """HTTP by httptools, with an end to waiting for a connection's first request.

    uvicorn's own limit, `timeout_keep_alive`, begins behind the first answer.
    """

    def connection_made(self, transport: Any) -> None:
        """Give the client some seconds to send the head of its request."""
        super().connection_made(transport)
        self._first_request = self.loop.call_later(_FIRST_REQUEST_SECONDS, transport.close)

    def on_headers_complete(self) -> None:
        """The head is there; the body has a limit of its own."""
        self._first_request.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limit with its connection."""
        self._first_request.cancel()
        super().connection_lost(exc)
