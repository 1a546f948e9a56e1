"""Servers to measure: nbci with a real release, MLServer and BentoML with the same ONNX file."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong
from benchmarks.projects import write_notebook
from benchmarks.surroundings import bentoml, mlserver, nbci, of_others

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_START_SECONDS = 60.0
_PROCESSES = 2

_FIT = """\
import os
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(int(seed))
def weights(name, *shape):
    values = rng.normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array(values.astype(np.float32), name)
def write(name, shape, nodes, kept):
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info('X', TensorProto.FLOAT, ['rows', *shape])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['rows', 10])],
        kept,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.save(model, f'out/{name}.onnx')
    rows = rng.normal(size=(4, *shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(f'out/{name}.onnx')
    np.savez(f'out/{name}.npz', X=rows, scores=session.run(None, {'X': rows})[0])
os.makedirs('out', exist_ok=True)
node = helper.make_node
dense = [node('MatMul', ['X', 'a'], ['h']), node('Relu', ['h'], ['r'])]
dense += [node('MatMul', ['r', 'b'], ['scores'])]
write('small', [64], dense, [weights('a', 64, 128), weights('b', 128, 10)])
conv, sizes = [], [3, 32, 64, 128, 128]
kept = []
for layer, (size, width) in enumerate(zip(sizes, sizes[1:])):
    source = 'X' if layer == 0 else f'r{layer - 1}'
    kept.append(weights(f'k{layer}', width, size, 3, 3))
    conv.append(node('Conv', [source, f'k{layer}'], [f'c{layer}'], strides=[2, 2]))
    conv.append(node('Relu', [f'c{layer}'], [f'r{layer}']))
conv += [node('GlobalAveragePool', ['r3'], ['p']), node('Flatten', ['p'], ['f'])]
conv += [node('MatMul', ['f', 'last'], ['scores'])]
write('image', [3, 224, 224], conv, [*kept, weights('last', 128, 10)])
"""
_PIPELINE = """\
pipeline: models
params: {seed: 1}
steps:
  fit:
    notebook: fit.ipynb
    params: {seed: "${seed}"}
    outs: [out/small.onnx, out/small.npz, out/image.onnx, out/image.npz]
    cwd: project
models:
  small: {path: out/small.onnx, sample: out/small.npz, stage: production}
  image: {path: out/image.onnx, sample: out/image.npz, stage: production}
"""
_MLSERVER_MODEL = """\
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

class Model(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession('model.onnx', options)
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype('float32', copy=False)
        (scores,) = self.session.run(None, {'X': rows})
        answer = NumpyCodec.encode_output('scores', scores)
        return InferenceResponse(model_name=self.name, outputs=[answer])
"""
_BENTOML_SERVICE = """\
import bentoml
import numpy as np
import onnxruntime

@bentoml.service(workers={workers}, traffic={{'timeout': 30, 'max_concurrency': 1024}})
class Model:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession('model.onnx', options)

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def infer(self, X: np.ndarray) -> np.ndarray:
        return self.session.run(None, {{'X': X.astype(np.float32, copy=False)}})[0]
"""


def release_project(project: Path, env: Mapping[str, str]) -> Path:
    """A project with a release of a small network of 64 floats, and of one for 224 x 224 images."""
    write_notebook(project / "fit.ipynb", [("seed = 1", ("parameters",)), (_FIT, ())])
    (project / "p.yaml").write_text(_PIPELINE, encoding="utf-8")
    begin_repository(project, env)
    commands = (
        nbci("run", "p.yaml", "-q"),
        nbci("promote", "latest", "--model", "small", "--no-push"),
        nbci("promote", "latest", "--model", "image", "--no-push"),
    )
    for command in commands:
        carry_out(command, project, env)
    return project


def begin_repository(project: Path, env: Mapping[str, str]) -> None:
    """Put a project under git, with a folder beside it for what DVC pushes."""
    (project / ".dvc").mkdir(exist_ok=True)
    remote = project.parent / f"{project.name}-remote"
    remote.mkdir()
    config = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {remote}\n"
    (project / ".dvc" / "config").write_text(config, encoding="utf-8")
    (project / ".gitignore").write_text("/out\n/build\n.nbci\n", encoding="utf-8")
    carry_out(["git", "init", "-q", "-b", "main", "."], project, env)
    carry_out(["git", "config", "user.name", "benchmarks"], project, env)
    carry_out(["git", "config", "user.email", "benchmarks@example.com"], project, env)
    carry_out(["git", "add", "."], project, env)
    carry_out(["git", "commit", "-qm", "a project"], project, env)


def carry_out(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
    """Run a command; Wrong where it fails."""
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise Wrong(f"{' '.join(command)}: ended with {done.returncode}\n{done.stderr[-2000:]}")


class Server:
    """A server that was started; its port, and what it wrote into its log so far."""

    def __init__(self, port: int, process: subprocess.Popen[str], log: Path) -> None:
        self.port = port
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def signal(self, number: signal.Signals) -> None:
        """Send the signal to its first process."""
        self._process.send_signal(number)

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_START_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()


@contextlib.contextmanager
def served(project: Path, env: Mapping[str, str], *words: str) -> Iterator[Server]:
    """`nbci serve` with these words, once it says that it answers."""
    # Two may serve at once.
    log = project.parent / f"serve-{time.time_ns()}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            nbci("serve", *words, "--port", "0"),
            cwd=project,
            env=env,
            stdout=subprocess.PIPE,
            stderr=output,
            encoding="utf-8",
        )
    with _ended(process):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("serving "):
            raise Wrong(f"nbci serve did not start\n{log.read_text()[-2000:]}")
        yield Server(int(line.rpartition(":")[2]), process, log)


@contextlib.contextmanager
def mlserver_of(model: Path, places: Path, folder: Path, *, pool: int) -> Iterator[Server]:
    """MLServer, which batches, with a class that answers by ONNX Runtime: it has none of its own.

    The model is in the process that takes requests, or in so many others behind it.
    """
    port = _free_port()
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": _free_port(),
        "metrics_port": _free_port(),
        "parallel_workers": pool,
    }
    batches = {"max_batch_size": 64, "max_batch_time": 0.002}
    described = {"name": "small", "implementation": "served_model.Model", **batches}
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.read_bytes())
    (folder / "served_model.py").write_text(_MLSERVER_MODEL, encoding="utf-8")
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(described), encoding="utf-8")
    command = [str(mlserver(places) / "mlserver"), "start", "."]
    with _peer(command, folder, port, "/v2/health/ready") as server:
        yield server


@contextlib.contextmanager
def bentoml_of(model: Path, places: Path, folder: Path) -> Iterator[Server]:
    """BentoML, which batches, in as many processes as there are cores."""
    port = _free_port()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.read_bytes())
    service = _BENTOML_SERVICE.format(workers=_PROCESSES)
    (folder / "service.py").write_text(service, encoding="utf-8")
    command = [str(bentoml(places) / "bentoml"), "serve", "service:Model"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with _peer(command, folder, port, "/readyz") as server:
        yield server


@contextlib.contextmanager
def bare_of(request: bytes) -> Iterator[int]:
    """The port of a socket that answers such requests, and does nothing else."""
    body = b"{}"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def answer_all() -> None:
        # Ends with the socket that listens, or with a connection that is cut.
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                _answer_each(connection, len(request), answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def _answer_each(connection: socket.socket, size: int, answer: bytes) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        left = size
        while part := connection.recv(left):
            left -= len(part)
            if not left:
                connection.sendall(answer)
                left = size


@contextlib.contextmanager
def _peer(command: Sequence[str], folder: Path, port: int, ready: str) -> Iterator[Server]:
    """A peer's server, once it says that it is ready."""
    log = folder / "log.txt"
    env = {**of_others(folder), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(folder)}
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,
            encoding="utf-8",
        )
        server = Server(port, process, log)
        try:
            with _ended(process):
                deadline = time.monotonic() + _START_SECONDS
                while not _is_ready(server, ready):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise Wrong(f"{command[0]} did not start\n{server.log}")
                    time.sleep(0.1)
                yield server
        finally:
            # Its processes end with it, whatever they made of the signal.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _is_ready(server: Server, path: str) -> bool:
    try:
        return server.get(path)[0] == http.client.OK
    except OSError:
        return False


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the process behind the block, in which it serves."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
