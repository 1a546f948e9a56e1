"""Clients that send one request again and again: `python -m benchmarks.load`, settings on stdin.

A process of its own, and no framework in it: what the clients take of the processor, servers lack.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

_PART = 2**18
_PATIENCE_SECONDS = 30.0


class Load:
    """So many clients that ask a server on loopback for some seconds, each its next when answered.

    It begins when made.
    """

    def __init__(self, port: int, request: bytes, *, clients: int, seconds: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        settings = {"port": port, "clients": clients, "seconds": seconds, "bytes": len(request)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(settings).encode() + b"\n" + request)
        self._process.stdin.close()

    @property
    def is_over(self) -> bool:
        """Whether its time is over."""
        return self._process.poll() is not None

    def latencies(self) -> list[float]:
        """Seconds of each request, when it has ended; Wrong where one was not answered with 200."""
        with self._process as process:
            assert process.stdout is not None
            text = process.stdout.read()
        if process.returncode:
            raise Wrong(f"the clients ended with {process.returncode}")
        found = json.loads(text)
        if found["failed"] or not found["seconds"]:
            raise Wrong(
                f"{found['failed']} of {len(found['seconds'])} requests failed: {found['why']}"
            )
        return list(found["seconds"])


def post(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A request of HTTP/1.1, as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Client:
    """One connection; `began` is when its request was sent."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._received = b""
        self.began = 0.0

    def send(self) -> None:
        self._received = b""
        self.began = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self) -> str | None:
        """Take what has come: None while there is more, empty for a good answer, or the trouble."""
        part = self.socket.recv(_PART)
        if not part:
            return "the connection was closed"
        self._received += part
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        _, has_length, length = head.lower().partition(b"content-length:")
        if not has_length:
            return "an answer without its length"
        if len(body) < int(length.partition(b"\r\n")[0]):
            return None
        is_good = head.startswith(b"HTTP/1.1 200")
        return "" if is_good else self._received[:300].decode(errors="replace")


def _main() -> None:
    settings = json.loads(sys.stdin.buffer.readline())
    request = sys.stdin.buffer.read(settings["bytes"])
    selector = selectors.DefaultSelector()
    for _ in range(settings["clients"]):
        client = _Client(settings["port"], request)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send()
    print(json.dumps(_follow(selector, time.perf_counter() + settings["seconds"])))


def _follow(selector: selectors.BaseSelector, end: float) -> dict[str, Any]:
    """Send until the end; what has begun is waited for, so that nothing that is lost is missed."""
    seconds: list[float] = []
    failed, why = 0, ""
    while selector.get_map():
        events = selector.select(_PATIENCE_SECONDS)
        if not events:
            left = len(selector.get_map())
            return {"seconds": seconds, "failed": failed + left, "why": "no answer"}
        for key, _ in events:
            client: _Client = key.data
            trouble = client.receive()
            if trouble is None:
                continue
            now = time.perf_counter()
            seconds.append(now - client.began)
            if trouble:
                failed, why = failed + 1, trouble
            if trouble or now >= end:
                selector.unregister(client.socket)
                client.socket.close()
            else:
                client.send()
    return {"seconds": seconds, "failed": failed, "why": why}


if __name__ == "__main__":
    _main()
