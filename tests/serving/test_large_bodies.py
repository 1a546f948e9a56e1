"""Large bodies, which are read from the socket right into the memory in which they stay."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nbci.serving.routes import Limits
from nbci.serving.worker import ServerSettings
from tests.promotion.test_packaging import WEIGHTS
from tests.serving.linear import linear, request_body
from tests.serving.live_server import INFER, JSON, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = np.random.default_rng(3).normal(size=(20_000, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    limits = Limits(body_bytes=1_000_000, body_seconds=1.0)
    started = Server(ServerSettings(models=(linear(folder),), limits=limits))
    yield started
    started.end()


@pytest.fixture
def connection(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as opened:
        yield opened


def image_request(rows: np.ndarray = ROWS, more: str = "") -> tuple[bytes, bytes]:
    """The head and the body of a request with a binary tensor; `more` are headers."""
    tensor = {
        "name": "X",
        "shape": list(rows.shape),
        "datatype": "FP32",
        "parameters": {"binary_data_size": rows.nbytes},
    }
    wanted = [{"name": "scores", "parameters": {"binary_data": True}}]
    text = json.dumps({"inputs": [tensor], "outputs": wanted}).encode()
    body = text + rows.tobytes()
    head = (
        f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        f"inference-header-content-length: {len(text)}\r\n{more}\r\n"
    )
    return head.encode(), body


def read_scores(connection: socket.socket, wanted: int) -> np.ndarray:
    """The scores of the next answer, which has no other output and so many rows."""
    head = b""
    # No byte more, which may be one of the answer behind it.
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    length = int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0])
    text = b""
    while len(text) < length:
        text += connection.recv(length - len(text))
    return np.frombuffer(text[length - wanted * 8 :], "<f4").reshape(wanted, 2)


def assert_answers(connection: socket.socket, rows: np.ndarray = ROWS) -> None:
    """Hold the next answer against what the model computes of these rows."""
    scores = read_scores(connection, len(rows))
    np.testing.assert_allclose(scores, rows @ WEIGHTS, rtol=1e-4, atol=1e-5)


def test_large_bodies_follow_one_another_on_a_connection(connection: socket.socket) -> None:
    # Head and body apart and together, and a small body between.
    for rows in (ROWS, ROWS[:3], ROWS + 1):
        head, body = image_request(rows)
        connection.sendall(head)
        connection.sendall(body)
        assert_answers(connection, rows)
        connection.sendall(head + body)
        assert_answers(connection, rows)


def test_a_large_body_may_come_in_pieces(connection: socket.socket, server: Server) -> None:
    head, body = image_request()
    for at in range(0, len(body), 50_001):
        connection.sendall(head + body[at : at + 50_001])
        head = b""
        # Each piece is read by then: the server answers another client behind it.
        assert server.ask("GET", "/v2/health/live")[0] == 200
    assert_answers(connection)


@pytest.mark.parametrize("rows", [ROWS, ROWS[:5_600], ROWS[:2]])
def test_requests_that_do_not_wait_for_answers_get_theirs_in_order(
    connection: socket.socket, rows: np.ndarray
) -> None:
    for each in (rows, rows + 1, ROWS[:1], rows + 2):
        connection.sendall(b"".join(image_request(each)))
    for each in (rows, rows + 1, ROWS[:1], rows + 2):
        assert_answers(connection, each)


def test_a_client_is_told_to_go_on_where_it_asks(connection: socket.socket) -> None:
    head, body = image_request(more="expect: 100-continue\r\n")
    connection.sendall(head)
    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert_answers(connection)


def test_a_client_that_goes_within_a_large_body_harms_nobody(server: Server) -> None:
    head, body = image_request()
    for length in (0, 1, 70_000, len(body) - 1):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as half:
            half.sendall(head + body[:length])
    assert server.ask("POST", INFER, request_body(), JSON)[0] == 200


@pytest.mark.slow
def test_a_large_body_that_does_not_come_whole_is_given_up(connection: socket.socket) -> None:
    head, body = image_request()
    connection.sendall(head + body[:-1])
    assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
    connection.sendall(body[-1:])
    rest = b""
    # Closed, with an error where the last byte met nobody.
    with contextlib.suppress(ConnectionError):
        rest = connection.recv(1000)
    assert b"200 OK" not in rest


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("content-length: 70000\r\n", b"400"),
        ("transfer-encoding: chunked\r\n", b"400"),
        ("content-encoding: gzip\r\n", b"415"),
    ],
)
def test_a_large_body_of_two_lengths_is_none(
    connection: socket.socket, more: str, status: bytes
) -> None:
    head, body = image_request(more=more)
    with contextlib.suppress(ConnectionError):
        connection.sendall(head + body)
    assert connection.recv(1000).startswith(b"HTTP/1.1 " + status)


def test_what_is_larger_than_allowed_is_not_read(connection: socket.socket) -> None:
    head, _ = image_request(np.ones((100_000, 3), np.float32))
    connection.sendall(head)
    assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_large_body_of_an_unknown_length_is_read(connection: socket.socket) -> None:
    head, body = image_request()
    length = f"content-length: {len(body)}\r\n".encode()
    connection.sendall(head.replace(length, b"transfer-encoding: chunked\r\n"))
    for part in (body[:100_000], body[100_000:]):
        connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
    connection.sendall(b"0\r\n\r\n")
    assert_answers(connection)
