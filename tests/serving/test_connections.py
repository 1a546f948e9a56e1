"""Connections that say nothing, or half of what they have to say, keep nobody else out."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
from typing import TYPE_CHECKING

import pytest

from nbci.serving.connections import connection_limit
from nbci.serving.routes import Limits
from nbci.serving.worker import ServerSettings
from tests.serving.linear import linear, request_body
from tests.serving.live_server import INFER, JSON, Server
from tests.serving.test_serve_command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIMIT = 8
_HALF = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{{".encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = ServerSettings(
        models=(linear(tmp_path_factory.mktemp("connections")),),
        connections=_LIMIT,
        limits=Limits(body_seconds=60.0),
    )
    started = Server(settings)
    yield started
    started.end()


@pytest.fixture
def connect(server: Server) -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as opened:
        yield opened


def opened(stack: contextlib.ExitStack, server: Server, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    stack.enter_context(connection)
    connection.sendall(sent)
    return connection


def closed(server: Server, connection: str) -> float:
    """How many connections were closed because of others, as the metrics say."""
    start = f'nbci_connections_closed_total{{connection="{connection}"}} '
    for line in server.ask("GET", "/metrics")[1].decode().splitlines():
        if line.startswith(start):
            return float(line.removeprefix(start))
    return 0.0


def is_over(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_what_is_idle_longest_makes_room(server: Server, connect: contextlib.ExitStack) -> None:
    before = closed(server, "idle")
    used = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connect.callback(used.close)
    used.request("GET", "/v2/health/live")
    used.getresponse().read()
    idle = [opened(connect, server, b"")]
    # Half a head is as good as nothing.
    idle += [opened(connect, server, b"GET /v2 HTTP/1.1\r\n") for _ in range(_LIMIT - 1)]
    # It has been used since, and stays.
    used.request("POST", INFER, request_body(), JSON)
    assert used.getresponse().read()
    newest = [opened(connect, server, b"") for _ in range(3)]
    assert [is_over(connection) for connection in idle[:3]] == [True] * 3
    used.request("GET", "/v2/health/live")
    assert used.getresponse().status == 200
    for connection in newest:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert closed(server, "idle") >= before + 3


def test_while_too_many_wait_health_is_told_and_others_are_refused(
    server: Server, connect: contextlib.ExitStack
) -> None:
    before = closed(server, "asked")
    waiting = [opened(connect, server, _HALF) for _ in range(_LIMIT)]
    # They are at work once their heads are read, which may be behind the first requests.
    wait_until(lambda: server.ask("POST", INFER, request_body(), JSON)[0] == 503)
    answer = server.ask("POST", INFER, request_body(), JSON)
    assert answer == (503, {"error": "too many connections wait for answers"})
    refused = opened(connect, server, b"GET /v2/models/linear HTTP/1.1\r\nhost: x\r\n\r\n")
    head = refused.recv(1000).lower()
    assert b"\r\nretry-after: 1\r\n" in head
    assert b"\r\nconnection: close\r\n" in head
    assert server.ask("GET", "/v2/health/ready") == (200, {"ready": True})
    assert closed(server, "asked") >= before + 3
    for connection in waiting:
        connection.close()
    wait_until(lambda: server.ask("POST", INFER, request_body(), JSON)[0] == 200)


@pytest.mark.slow
def test_clients_that_do_not_read_their_answers_keep_nobody_out(
    server: Server, connect: contextlib.ExitStack
) -> None:
    # Larger than the buffers between them, so that the server cannot let go of it.
    asked = large_request(rows=400_000)
    for _ in range(_LIMIT):
        unread = socket.socket()
        connect.enter_context(unread)
        unread.settimeout(20)
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.connect(("127.0.0.1", server.port))
        unread.sendall(asked)
        assert unread.recv(13) == b"HTTP/1.1 200 "
    assert server.ask("POST", INFER, request_body(), JSON)[0] == 200


def large_request(rows: int) -> bytes:
    tensor = {"name": "X", "shape": [rows, 3], "datatype": "FP32"}
    described = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": 12 * rows}}],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(described).encode()
    head = (
        f"POST {INFER} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        f"inference-header-content-length: {len(text)}\r\n"
        "content-type: application/octet-stream\r\n"
        f"content-length: {len(text) + 12 * rows}\r\n\r\n"
    )
    return head.encode() + text + bytes(12 * rows)


def test_the_head_of_a_request_has_to_come(tmp_path: Path, connect: contextlib.ExitStack) -> None:
    limits = Limits(head_seconds=0.5)
    server = Server(ServerSettings(models=(linear(tmp_path),), limits=limits))
    connect.callback(server.end)
    half = b"GET /v2/health/live HTTP/1.1\r\nhost"
    waiting = [opened(connect, server, sent) for sent in (b"", half)]
    # The limit of a connection that was used ends with the first byte of its next request.
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connect.callback(client.close)
    client.request("GET", "/v2/health/live")
    assert client.getresponse().read() == b'{"live":true}'
    client.sock.sendall(half)
    assert [is_over(connection) for connection in (*waiting, client.sock)] == [True] * 3


def test_a_process_that_may_open_few_files_says_so_and_stays_within(
    tmp_path: Path, connect: contextlib.ExitStack
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        server = Server(ServerSettings(models=(linear(tmp_path),)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for _ in range(400):
        opened(connect, server, b"")
    assert server.ask("GET", "/v2/health/ready") == (200, {"ready": True})
    assert closed(server, "idle") >= 200
    log = server.end()
    assert "the limit on open files leaves 96 connections" in log
    assert "Too many open files" not in log


def test_the_limit_goes_by_the_files_that_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert connection_limit(8192) == 672
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    assert connection_limit(8192) == 8192
    unlimited = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (unlimited, unlimited))
    assert connection_limit(8192) == 8192
