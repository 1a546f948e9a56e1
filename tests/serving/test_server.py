"""One process that serves, asked over real connections."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper, numpy_helper

from nbci.app.serving.serve import listen
from nbci.records.codec import plain
from nbci.serving.loading import ModelFile
from nbci.serving.request_log import LogSettings
from nbci.serving.routes import Limits
from nbci.serving.worker import ServerSettings
from tests.promotion.test_packaging import ROWS, WEIGHTS
from tests.serving.linear import linear, request_body
from tests.serving.live_server import INFER, JSON, Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = ServerSettings(
        models=(linear(tmp_path / "one"),),
        limits=Limits(body_bytes=100_000, body_seconds=1.0),
        logs_requests=True,
    )
    started = Server(settings)
    yield started
    if not started.process.stderr.closed:  # type: ignore[union-attr]  # it is a pipe
        started.end()


def test_the_protocol_from_the_server_to_an_answer(server: Server) -> None:
    status, about = server.ask("GET", "/v2")
    assert (status, about["name"], about["extensions"]) == (200, "nbci", ["binary_tensor_data"])
    assert server.ask("GET", "/v2/health/live") == (200, {"live": True})
    assert server.ask("GET", "/v2/health/ready") == (200, {"ready": True})
    assert server.ask("GET", "/v2/models/linear") == (
        200,
        {
            "name": "linear",
            "versions": ["v1.0.0"],
            "platform": "onnx_onnxv1",
            "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 3]}],
            "outputs": [
                {"name": "scores", "datatype": "FP32", "shape": [-1, 2]},
                {"name": "label", "datatype": "INT64", "shape": [-1]},
            ],
        },
    )
    assert server.ask("GET", "/v2/models/linear/versions/v1.0.0/ready")[0] == 200
    status, answer = server.ask("POST", INFER, request_body(), JSON)
    assert status == 200
    found = np.array(answer["outputs"][0]["data"], dtype=np.float32).reshape(-1, 2)
    np.testing.assert_allclose(found, ROWS @ WEIGHTS, rtol=1e-5)
    metrics = server.ask("GET", "/metrics")[1].decode()
    assert 'nbci_requests_total{model="linear",status="200",version="v1.0.0"} 1.0' in metrics
    assert 'nbci_model_version{model="linear",version="v1.0.0"} 1.0' in metrics
    lines = [json.loads(line) for line in server.end().splitlines()]
    assert {"event": "request", "status": 200}.items() <= lines[1].items()


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"),
    [
        ("GET", "/v2/models/other", b"", {}, 404, "there is no model 'other' here"),
        ("GET", "/v2/models/linear/versions/v9.0.0", b"", {}, 404, "not 'v9.0.0'"),
        ("GET", "/v3", b"", {}, 404, "Not Found"),
        ("GET", INFER, b"", {}, 405, "is asked with POST"),
        ("POST", "/v2", b"", {}, 405, "Method Not Allowed"),
        ("POST", INFER, b"{}", {"content-type": "text/html"}, 415, "the body is 'text/html'"),
        ("POST", INFER, b"x" * 100_001, JSON, 413, "larger than 100000 bytes"),
        ("POST", INFER, request_body(np.ones((2, 4))), JSON, 400, "the input 'X' has the shape"),
    ],
)
def test_what_is_wrong_has_its_status(
    server: Server,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    words: str,
) -> None:
    found, answer = server.ask(method, path, body, headers)
    assert found == status
    assert words in answer["error"]
    assert server.ask("POST", INFER, request_body(), JSON)[0] == 200


@pytest.mark.parametrize("given", ["mine", None])
def test_refused_requests_have_an_id_and_say_what_is_allowed(
    server: Server, given: str | None
) -> None:
    headers = {"x-request-id": given} if given else {}
    for method, path, status, allowed in (
        ("GET", "/v3", 404, None),
        ("GET", "/v2/models/other", 404, None),
        ("POST", INFER, 400, None),
        ("POST", "/v2/models/linear", 405, "GET, HEAD"),
        ("DELETE", INFER, 405, "POST"),
        ("GET", INFER, 405, "POST"),
    ):
        found = server.head_of(method, path, headers)
        assert (found.status, found.getheader("allow")) == (status, allowed), path
        id_given = found.getheader("x-request-id")
        assert id_given == given if given else id_given, path


def test_a_body_that_does_not_come_is_given_up(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as half:
        head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n"
        half.sendall(head.encode() + b'{"inputs"')
        assert server.ask("POST", INFER, request_body(), JSON)[0] == 200
        assert half.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_length_of_more_digits_than_python_converts_is_the_clients_mistake(
    server: Server,
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {'9' * 5000}\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert server.ask("POST", INFER, request_body(), JSON)[0] == 200


def test_a_token_is_asked_for_but_by_those_who_watch(tmp_path: Path) -> None:
    server = Server(ServerSettings(models=(linear(tmp_path),)), token="t0ken")
    assert server.ask("GET", "/v2/health/ready")[0] == 200
    assert server.ask("POST", INFER, request_body(), JSON)[0] == 401
    assert server.ask("GET", "/metrics")[0] == 401
    headers = {**JSON, "authorization": "Bearer t0ken"}
    assert server.ask("POST", INFER, request_body(), headers)[0] == 200
    assert "t0ken" not in server.end()


def test_versions_are_switched_under_load_without_losing_a_request(
    server: Server, tmp_path: Path
) -> None:
    statuses: list[int] = []
    versions = set()
    is_over = threading.Event()

    def ask_again_and_again() -> None:
        while not is_over.is_set():
            status, answer = server.ask("POST", INFER, request_body(), JSON)
            statuses.append(status)
            versions.add(answer["model_version"])

    threads = [threading.Thread(target=ask_again_and_again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(2, 6):
        file = linear(tmp_path / str(number), f"v{number}.0.0")
        assert server.switch(file) == {"switched": True}
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert versions <= {f"v{number}.0.0" for number in range(1, 6)}
    assert server.ask("GET", "/v2/models/linear")[1]["versions"] == ["v5.0.0"]


def test_a_shadow_is_asked_as_well_and_its_answers_are_compared(tmp_path: Path) -> None:
    served = linear(tmp_path / "one")
    settings = ServerSettings(models=(served,), candidate=replace(served, version="v2.0.0"))
    server = Server(settings)
    for _ in range(3):
        status, answer = server.ask("POST", INFER, request_body(), JSON)
        assert (status, answer["model_version"]) == (200, "v1.0.0")
    count = 'nbci_shadow_total{model="linear",result="same",version="v2.0.0"} 3.0'
    deadline = time.monotonic() + 20
    while count not in server.ask("GET", "/metrics")[1].decode():
        assert time.monotonic() < deadline
    server.end()


def test_a_canary_answers_its_share_the_same_ids_each_time(tmp_path: Path) -> None:
    served = linear(tmp_path / "one")
    settings = ServerSettings(
        models=(served,), candidate=replace(served, version="v2.0.0"), candidate_share=0.3
    )
    server = Server(settings)

    def answering() -> list[str]:
        found = []
        for number in range(60):
            headers = {**JSON, "x-request-id": f"client {number}"}
            found.append(server.ask("POST", INFER, request_body(), headers)[1]["model_version"])
        return found

    first = answering()
    assert answering() == first
    assert 8 <= first.count("v2.0.0") <= 30
    server.end()


def test_a_version_that_does_not_answer_its_sample_is_not_switched_to(
    server: Server, tmp_path: Path
) -> None:
    bad = linear(tmp_path / "bad", "v2.0.0", scores=ROWS @ WEIGHTS + 1)
    answer = server.switch(bad)
    assert answer["switched"] is False
    assert "does not answer its sample" in answer["error"]
    gone = replace(bad, path=str(tmp_path / "gone.onnx"))
    assert server.switch(gone)["switched"] is False
    assert server.ask("GET", "/v2/models/linear")[1]["versions"] == ["v1.0.0"]
    assert server.ask("POST", INFER, request_body(), JSON)[0] == 200


def test_files_that_a_release_has_no_more_are_not_served_any_more(
    server: Server, tmp_path: Path
) -> None:
    first = linear(tmp_path / "first", "v2.0.0")
    several = [replace(first, model=f"linear.{name}") for name in ("encoder", "decoder")]
    assert server.switch(*several) == {"switched": True}
    assert server.ask("GET", "/v2/models/linear")[0] == 404
    assert server.ask("GET", "/v2/models/linear.decoder")[1]["versions"] == ["v2.0.0"]
    path = "/v2/models/linear.decoder/infer"
    assert server.ask("POST", path, request_body(), JSON)[0] == 200
    metrics = server.ask("GET", "/metrics")[1].decode()
    assert 'nbci_model_version{model="linear",version="v1.0.0"} 0.0' in metrics


def test_a_candidate_is_replaced_and_leaves(server: Server, tmp_path: Path) -> None:
    for number in (2, 3):
        candidate = linear(tmp_path / str(number), f"v{number}.0.0")
        server.order({"candidate": plain(candidate)})
        assert server.answer() == {"switched": True}
        server.ask("POST", INFER, request_body(), JSON)
        deadline = time.monotonic() + 20
        compared = f'nbci_shadow_total{{model="linear",result="same",version="v{number}.0.0"}} 1.0'
        while compared not in server.ask("GET", "/metrics")[1].decode():
            assert time.monotonic() < deadline
    server.order({"candidate": None})
    assert server.answer() == {"switched": True}
    server.ask("POST", INFER, request_body(), JSON)
    assert compared in server.ask("GET", "/metrics")[1].decode()
    assert '"event": "candidate left"' in server.end()


def test_it_ends_in_order_and_without_its_supervisor(server: Server) -> None:
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(timeout=20) == 0


def test_what_has_begun_is_answered_at_the_end(server: Server) -> None:
    body = request_body()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        slow.sendall(head.encode() + body[:10])
        time.sleep(0.2)
        os.kill(server.process.pid, signal.SIGTERM)
        time.sleep(0.2)
        slow.sendall(body[10:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert server.process.wait(timeout=20) == 0


def test_answers_are_sent_at_once() -> None:
    # asyncio sets TCP_NODELAY on such connections only: others wait 40 ms for the client.
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


@pytest.mark.slow
def test_a_log_that_fails_is_counted_and_has_the_seconds_of_each_request(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.write_text("no folder")
    log = LogSettings(folder=str(folder))
    server = Server(ServerSettings(models=(linear(tmp_path / "one"),), request_log=log))
    began = time.monotonic()
    headers = {**JSON, "x-request-id": "dropped"}
    assert server.ask("POST", INFER, request_body(), headers)[0] == 200
    count = 'nbci_request_log_dropped_total{reason="disk"} 1.0'
    while count not in server.ask("GET", "/metrics")[1].decode():
        assert time.monotonic() < began + 20
        time.sleep(0.05)
    folder.unlink()
    headers = {**JSON, "x-request-id": "written"}
    assert server.ask("POST", INFER, request_body(), headers)[0] == 200
    logged = server.end()
    assert logged.count("request log failing") == 1
    (path,) = folder.rglob("*.parquet")
    table = pq.read_table(path)
    assert set(table.column("request").to_pylist()) == {"written"}
    seconds = set(table.column("seconds").to_pylist())
    assert len(seconds) == 1
    assert 0 < seconds.pop() < time.monotonic() - began


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is kept elsewhere")
def test_versions_that_were_left_take_no_memory(tmp_path: Path) -> None:
    """Of eight models of several megabytes, each left about 20 MB with the allocator."""
    files = []
    for number in range(2):
        path = write_large_model(tmp_path / f"{number}.onnx", number)
        files.append(ModelFile(model="linear", version=f"v{number}.0.0", path=str(path)))
    server = Server(ServerSettings(models=(files[0],)))
    before = resident_bytes(server.process.pid)
    for number in range(1, 9):
        assert server.switch(files[number % 2]) == {"switched": True}
        assert server.ask("POST", INFER, request_body(), JSON)[0] == 200
    assert resident_bytes(server.process.pid) < before + 60 * 2**20
    server.end()


def write_large_model(path: Path, value: float) -> Path:
    """A model of 8 MB with the input of the small one."""
    wide = np.full((3, 400_000), value, np.float32)
    tall = np.full((400_000, 2), value, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["X", "wide"], ["hidden"]),
            helper.make_node("MatMul", ["hidden", "tall"], ["scores"]),
        ],
        "large",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(wide, "wide"), numpy_helper.from_array(tall, "tall")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def resident_bytes(process: int) -> int:
    """The memory of a process, as Linux counts it."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
