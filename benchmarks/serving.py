"""Models served over HTTP: what that adds, against MLServer and BentoML, switched and logged."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import Load, post
from benchmarks.measure import Wrong, compared, figure, take_turns
from benchmarks.servers import (
    bare_of,
    begin_repository,
    bentoml_of,
    carry_out,
    mlserver_of,
    release_project,
    served,
)
from benchmarks.surroundings import nbci, of_nbci

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

    from benchmarks.measure import Bench, Row, Way
    from benchmarks.servers import Server

    Floats = npt.NDArray[np.float32]
    _Started = Callable[[Path, Path, Path], contextlib.AbstractContextManager[Server]]

CLIENTS = 32
MOST_BEYOND_SECONDS = 0.001
MOST_BEYOND_P99_SECONDS = 0.003
MOST_OF_THE_PEER = 0.5
MOST_OF_THE_IMAGE = 1.3
MOST_TO_READY_SECONDS = 1.0
MOST_OF_UNLOGGED = 1 / 0.95
_TWO = ("--workers", "2")
_SWITCH_SECONDS = 30.0
_JSON = {"Content-Type": "application/json"}


def rows(bench: Bench) -> Iterator[Row]:
    """Real releases, real `nbci serve`; clients and servers share the machine."""
    env = of_nbci(bench.folder)
    project = release_project(bench.folder / "project", env)
    one = _numbers(1, 64)
    yield from _one_client(bench, project, env, one)
    yield _image(bench, project, env)
    yield from _against_peers(bench, project, env, one)
    yield _log(bench, project, env, one)
    yield _switches(bench, project, env, one)
    yield _cold_start(bench, env)


def _one_client(bench: Bench, project: Path, env: dict[str, str], one: Floats) -> Iterator[Row]:
    """Seconds over those of `session.run` in this process, the medians of turns.

    What a bare socket takes says how much of the slowest is the machine's, with its other work.
    """
    seconds = bench.pick(3, 1)
    request = _json_request(one)
    turns: dict[str, list[list[float]]] = {"nbci": [], "bare": []}
    with served(project, env, "small#production") as server, bare_of(request) as bare_port:

        def over_http(name: str, port: int) -> float:
            found = Load(port, request, clients=1, seconds=seconds).latencies()
            turns[name].append(found)
            return statistics.median(found)

        ways: dict[str, Way] = {
            "nbci": partial(over_http, "nbci", server.port),
            "bare": partial(over_http, "bare", bare_port),
            "alone": _in_process(project / "out" / "small.onnx", one, seconds / 3),
        }
        seen = take_turns(ways, rounds=bench.pick(9, 5), warmups=0)
    medians = [ours - theirs for ours, theirs in zip(seen["nbci"], seen["alone"], strict=True)]
    slowest = {name: [*map(_p99, found)] for name, found in turns.items()}
    beyond = [ours - theirs for ours, theirs in zip(slowest["nbci"], seen["alone"], strict=True)]
    work = "1 x 64 floats, JSON, one client, beyond session.run"
    peer = "a bare socket"
    yield compared(work, medians, peer, seen["bare"], figure_at_most=MOST_BEYOND_SECONDS)
    yield compared(
        "the same, p99", beyond, peer, slowest["bare"], figure_at_most=MOST_BEYOND_P99_SECONDS
    )


def _p99(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[-1]


def _image(bench: Bench, project: Path, env: dict[str, str]) -> Row:
    """A picture as a binary tensor through four convolutions."""
    seconds = bench.pick(3, 1)
    picture = _numbers(1, 3, 224, 224)
    request = _binary_request(picture)
    with served(project, env, "image#production") as server:

        def over_http() -> float:
            found = Load(server.port, request, clients=1, seconds=seconds).latencies()
            return statistics.median(found)

        in_process = _in_process(project / "out" / "image.onnx", picture, seconds)
        ways = {"nbci": over_http, "alone": in_process}
        seen = take_turns(ways, rounds=bench.pick(7, 3))
    work = "3 x 224 x 224 floats, binary tensor, four convolutions"
    return compared(work, seen["nbci"], "copy + run", seen["alone"], at_most=MOST_OF_THE_IMAGE)


def _against_peers(bench: Bench, project: Path, env: dict[str, str], one: Floats) -> Iterator[Row]:
    """Seconds for each request of many clients, of servers that stand side by side."""
    model = project / "out" / "small.onnx"
    seconds = bench.pick(3, 1)
    of_v2 = _json_request(one)
    of_bentoml = post("/infer", json.dumps({"X": one.tolist()}).encode(), _JSON)
    of_peers: dict[str, tuple[_Started, bytes]] = {
        "MLServer, 1 process": (partial(mlserver_of, pool=0), of_v2),
        "MLServer, pool of 2": (partial(mlserver_of, pool=2), of_v2),
        "BentoML, 2 processes": (bentoml_of, of_bentoml),
    }
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(served(project, env, "small#production", *_TWO))
        ways = {"nbci": partial(_seconds_a_request, ours, of_v2, seconds)}
        for number, (peer, (started, request)) in enumerate(of_peers.items()):
            folder = bench.folder / f"peer{number}"
            server = stack.enter_context(started(model, bench.peers, folder))
            ways[peer] = partial(_seconds_a_request, server, request, seconds)
        seen = take_turns(ways, rounds=bench.pick(11, 5))
    for peer in of_peers:
        work = f"each request of {CLIENTS} clients, batching, 2 processes"
        yield compared(work, seen["nbci"], peer, seen[peer], at_most=MOST_OF_THE_PEER)


def _log(bench: Bench, project: Path, env: dict[str, str], one: Floats) -> Row:
    request = _json_request(one)
    # It writes once a second: a turn has some of that, and is short, as others use the machine.
    seconds = bench.pick(3, 2)
    log = bench.folder / "log"
    with (
        served(project, env, "small#production", *_TWO) as plain,
        served(project, env, "small#production", *_TWO, "--log", str(log)) as logging,
    ):
        ways = {
            "on": partial(_seconds_a_request, logging, request, seconds),
            "off": partial(_seconds_a_request, plain, request, seconds),
        }
        seen = take_turns(ways, rounds=bench.pick(15, 9))
    if not [*log.rglob("*.parquet")]:
        raise Wrong("nothing was logged")
    work = f"each request of {CLIENTS} clients, request log on"
    return compared(work, seen["on"], "log off", seen["off"], at_most=MOST_OF_UNLOGGED)


def _switches(bench: Bench, project: Path, env: dict[str, str], one: Floats) -> Row:
    """Versions put into the stage in turns while many clients ask; each has to be answered."""
    carry_out(nbci("run", "p.yaml", "-q", "-p", "seed=2"), project, env)
    promote = nbci("promote", "latest", "--model", "small", "--no-push", "--json")
    carry_out(promote, project, env)
    switches = bench.pick(20, 4)
    # Longer than they can take: it is ended by its clients, who have to have met all switches.
    seconds = 2.0 * switches
    switched = []
    with served(project, env, "small#production", *_TWO, "--follow", "1h") as server:
        load = Load(server.port, _json_request(one), clients=CLIENTS, seconds=seconds)
        for number in range(switches):
            version = f"v1.0.{number % 2}"
            # Two promotions were the first two events.
            event = f"small#production#{number + 3}"
            carry_out(["git", "tag", "-m", "switch", event, f"small@{version}^{{}}"], project, env)
            switched.append(_seconds_to_switch(server, version))
        if load.is_over:
            raise Wrong(f"{switches} switches took longer than {seconds:g} s")
        latencies = load.latencies()
    work = f"a switch of versions under load, none of {len(latencies):,} requests failed"
    return figure(work, switched)


def _seconds_to_switch(server: Server, version: str) -> float:
    """From the signal to look until a process answers with the version."""
    began = time.perf_counter()
    server.signal(signal.SIGHUP)
    while version.encode() not in server.get("/v2/models/small")[1]:
        if time.perf_counter() - began > _SWITCH_SECONDS:
            raise Wrong(f"{version} was not switched to")
        time.sleep(0.01)
    return time.perf_counter() - began


def _cold_start(bench: Bench, env: dict[str, str]) -> Row:
    """From the command to the first answer, where nothing of the release is on the machine yet."""
    project = bench.folder / "digits"
    root = Path(__file__).parent.parent
    for name in ("notebooks/digits.ipynb", "pipelines/digits.yaml"):
        (project / name).parent.mkdir(parents=True)
        shutil.copyfile(root / name, project / name)
    begin_repository(project, env)
    carry_out(nbci("run", "pipelines/digits.yaml", "-q"), project, env)
    carry_out(nbci("promote", "latest", "--no-push"), project, env)

    def start() -> float:
        shutil.rmtree(Path(env["NBCI_CACHE"]) / "served", ignore_errors=True)
        began = time.perf_counter()
        with served(project, env, "digits#production") as server:
            status, _ = server.get("/v2/health/ready")
            seconds = time.perf_counter() - began
        if status != http.client.OK:
            raise Wrong(f"a server that said that it answers was not ready: {status}")
        return seconds

    seen = take_turns({"nbci": start}, rounds=bench.pick(9, 3))
    return figure("digits, start to ready, cold", seen["nbci"], at_most=MOST_TO_READY_SECONDS)


def _seconds_a_request(server: Server, request: bytes, seconds: float) -> float:
    began = time.perf_counter()
    try:
        latencies = Load(server.port, request, clients=CLIENTS, seconds=seconds).latencies()
    except Wrong as error:
        raise Wrong(f"{error}\nThe server's log ends with:\n{server.log}") from error
    return (time.perf_counter() - began) / len(latencies)


def _in_process(model: Path, values: Floats, seconds: float) -> Callable[[], float]:
    """The median seconds of copying the bytes and running the model, for so many seconds."""
    import onnxruntime  # type: ignore[import-untyped]  # it has no types

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options)

    def run() -> float:
        taken = []
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            session.run(None, {"X": values.copy()})
            taken.append(time.perf_counter() - began)
        return statistics.median(taken)

    return run


def _numbers(*shape: int) -> Floats:
    import numpy as np

    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _json_request(values: Floats) -> bytes:
    data = values.ravel().tolist()
    tensor = {"name": "X", "shape": values.shape, "datatype": "FP32", "data": data}
    return post("/v2/models/small/infer", json.dumps({"inputs": [tensor]}).encode(), _JSON)


def _binary_request(values: Floats) -> bytes:
    parameters = {"binary_data_size": values.nbytes}
    tensor = {"name": "X", "shape": values.shape, "datatype": "FP32", "parameters": parameters}
    # The answer, too, as bytes.
    asked = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(asked).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return post("/v2/models/image/infer", head + values.tobytes(), headers)
