"""Requests that no client's library would send, over real connections to a real `nbci serve`."""

from __future__ import annotations

import json
import re
import socket
import struct

import pytest

from tests.serving.linear import request_body
from tests.serving.live_server import INFER

BODY = request_body()
LARGE = BODY[:-1] + b" " * 100_000 + b"}"
"""So large that it is read past the parser."""
JSON = "content-type: application/json"
CHUNKED = "transfer-encoding: chunked"
CLOSE = "connection: close"


def post(body: bytes, *headers: str, path: str = INFER, length: int | str | None = None) -> bytes:
    """A request; `length` is what it says of its body where that is not the truth."""
    lines = [f"POST {path} HTTP/1.1", "host: x", *headers]
    if CHUNKED not in headers:
        lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n{CLOSE}\r\n\r\n".encode("latin-1")


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def binary(size: object, data: bytes, length: str | None = None) -> bytes:
    tensor = {"name": "X", "shape": [1, 3], "datatype": "FP32"}
    header = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": size}}]})
    says = str(len(header)) if length is None else length
    return post(header.encode() + data, f"inference-header-content-length: {says}", CLOSE)


def exchange(port: int, request: bytes) -> bytes:
    """All that the server says until it closes the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(request)
        while part := client.recv(2**16):
            answer += part
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/%6Cinear", 200),
        ("/v2/models%2Flinear", 200),
        ("http://elsewhere/v2", 200),
        ("/v2/models/linear%2Finfer", 405),
        ("/v2/models/%", 404),
        ("/v2/models/%zz", 404),
        ("/v2/models/%ff", 404),
        ("/v2/models/%00", 404),
        ("/v2/models/a%0d%0aset-cookie:%20b", 404),
        ("/v2/models/../../v2", 404),
        ("/v2/models/" + "x" * 20_000, 404),
        ("//v2", 404),
        ("*", 404),
        ("?", 400),
        ("/v2/models/\xff", 400),
    ],
)
def test_paths_with_odd_escapes(served_port: int, path: str, status: int) -> None:
    answer = exchange(served_port, get(path))
    assert statuses(answer) == [status]
    assert len(answer) < 1000
    assert b"set-cookie:" not in answer.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (post(chunks(BODY[:9], BODY[9:]), JSON, CHUNKED, CLOSE), 200),
        (post(chunks(*[BODY[at : at + 1] for at in range(len(BODY))]), CHUNKED, CLOSE), 200),
        (post(chunks(LARGE), CHUNKED, CLOSE), 200),
        (post(LARGE, CLOSE), 200),
        (post(b"0\r\n\r\n", CHUNKED, CLOSE), 400),
        (post(b"zz\r\n" + BODY, CHUNKED), 400),
        (post(b"-1\r\n" + BODY, CHUNKED), 400),
        (post(b"f" * 17 + b"\r\n" + BODY, CHUNKED), 400),
        (post(b"5\r\n" + BODY, CHUNKED), 400),
        (post(BODY, JSON, "transfer-encoding: gzip"), 400),
        (post(chunks(BODY), CHUNKED, "content-length: 5"), 400),
        (post(BODY, "content-length: 5"), 400),
        (post(BODY, length="-1"), 400),
        (post(BODY, length="1e3"), 400),
        (post(BODY, length=2**64), 400),
        (post(BODY, length=2**64 - 1), 413),
        (post(BODY, "x-request-id: a\x01b"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
def test_bodies_in_chunks_and_odd_lengths(
    served_port: int, request_bytes: bytes, status: int
) -> None:
    assert statuses(exchange(served_port, request_bytes)) == [status]


@pytest.mark.parametrize("body", [BODY, LARGE])
def test_bodies_of_which_half_comes_are_no_failures_of_the_server(
    served_port: int, body: bytes
) -> None:
    before = gone(served_port)
    halves = [post(body[:9], length=len(body)), post(body[:-9], length=len(body))]
    for half in [*halves, post(chunks(body)[:-5], CHUNKED)]:
        with socket.create_connection(("127.0.0.1", served_port), timeout=20) as client:
            client.sendall(half)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""
    assert gone(served_port) == before + 3


def gone(port: int) -> int:
    """How many requests were counted whose client went away."""
    found = re.search(rb'status="499"[^}]*} (\d+)', exchange(port, get("/metrics")))
    return int(found[1]) if found else 0


def test_requests_that_come_at_once_are_answered_one_after_another(served_port: int) -> None:
    other = post(LARGE, path="/v2/models/other/infer")
    several = post(BODY) * 2 + post(LARGE) + other + post(b"{}") + post(LARGE) + post(BODY, CLOSE)
    answer = exchange(served_port, several)
    assert statuses(answer) == [200, 200, 200, 404, 400, 200, 200]


@pytest.mark.parametrize("body", [BODY, LARGE])
def test_who_would_rather_have_http_2_is_answered_by_http_1(served_port: int, body: bytes) -> None:
    # As curl --http2 and Java's client ask.
    ask = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    answer = exchange(served_port, post(body, *ask) + get("/v2"))
    assert statuses(answer) == [200, 200]


def test_a_body_that_the_parser_gives_up_is_not_filled_with_memory(served_port: int) -> None:
    # Behind the head, the parser expects the other protocol.
    headers = ("Connection: Upgrade, close", "Upgrade: other")
    for length in (len(BODY), len(LARGE)):
        answer = exchange(served_port, post(b"", *headers, length=length))
        assert statuses(answer) == [400]
        assert b"Input data was truncated" in answer


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("NaN", "is malformed"),
        ("-Infinity", "is malformed"),
        ("0x51423", "is malformed"),
        ("051423", "is malformed"),
        ("1e51423", "the data of the input 'X' are no list of FP32"),
        ('"51423"', "the data of the input 'X' are no list of FP32"),
        ('{"51423": 1}', "the data of the input 'X' are no list of FP32"),
        ("5142351423" * 20, "a value of the input 'X' is outside of FP32"),
        ("51423, 51423", "the input 'X' has 4 values, and its shape takes 3"),
    ],
)
def test_what_is_no_number_is_refused_and_not_repeated(
    served_port: int, number: str, words: str
) -> None:
    tensor = f'{{"name": "X", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, {number}]}}'
    answer = exchange(served_port, post(f'{{"inputs": [{tensor}]}}'.encode(), CLOSE))
    assert statuses(answer) == [400]
    assert words in answer.decode()
    assert b"51423" not in answer


@pytest.mark.parametrize(
    ("request_bytes", "words"),
    [
        (binary(12, struct.pack("<3f", 1, 2, 3)), "200 OK"),
        (binary(12, struct.pack("<3f", float("nan"), float("inf"), 1)), "200 OK"),
        (binary(12, b"12345"), "'X' says more bytes than the 5 that are left"),
        (binary(11, b"123456789012"), "'X' has 11 bytes, and its shape takes 12"),
        (binary(12, b"12345678901234"), "2 bytes are left behind the tensors"),
        (binary(10**400, b""), "'X' says more bytes than the 0 that are left"),
        (binary(12.0, b"123456789012"), "the binary_data_size of 'X' is no number of bytes"),
        (binary("12", b"123456789012"), "the binary_data_size of 'X' is no number of bytes"),
        (binary(12, b"", length="0"), "is no JSON"),
        (binary(12, b"", length=""), "is no number"),
        (binary(12, b"", length="-1"), "is no number"),
        (binary(12, b"", length="\xb2"), "is no number"),
        (binary(12, b"", length="9" * 5000), "says more than the"),
    ],
)
def test_tensors_behind_the_json(served_port: int, request_bytes: bytes, words: str) -> None:
    answer = exchange(served_port, request_bytes).decode()
    assert words in answer
    assert statuses(answer.encode()) == [200 if words == "200 OK" else 400]
