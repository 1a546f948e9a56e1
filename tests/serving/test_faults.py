"""`nbci serve` where processes are killed, clients hang, and its sources go away."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import resource
import shutil
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nbci.kernels.private import lock_folder
from nbci.serving.worker import ServerSettings
from tests.serving.conftest import make_project
from tests.serving.linear import request_body
from tests.serving.live_server import INFER, Server
from tests.serving.test_notebook_model import notebook_model
from tests.serving.test_serve_command import asked, release, wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator


_LIVE = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"


class Serving:
    """`nbci serve` in a process of its own, whose log is read while it serves."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read_log, daemon=True).start()

    def wait_for_start(self) -> int:
        """The port."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        return int(line.rpartition(":")[2])

    def next_event(self, *events: str) -> dict[str, Any]:
        """What is logged next of these events; others are passed over."""
        while True:
            found = self._events.get(timeout=60)
            if found["event"] in events:
                return found

    def end(self) -> int:
        """End it in order, where it has not ended; its exit code."""
        self.process.terminate()
        code = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for line in log:
                self._events.put(json.loads(line))


class Place:
    """A project with two released versions, of which the first one is in production."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = make_project(folder)
        self.cache = folder / "cache"
        # Short, as folders of processes are to be: otherwise they lie elsewhere.
        self.temporary = Path(tempfile.mkdtemp(prefix="nbci-f-"))
        release(self.project, 1.0)
        release(self.project, 2.0, "--stage", "candidate")

    def serve(self, *options: str) -> Serving:
        """Begin to serve what is in production, without a checkout."""
        words = ("serve", "linear#production", "--url", str(self.folder / "origin.git"))
        env = {"NBCI_CACHE": str(self.cache), "TMPDIR": str(self.temporary)}
        return Serving(
            self.project.start(*words, "--port", "0", *options, cwd=self.folder, env=env)
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("faults"))
    yield made
    shutil.rmtree(made.temporary)


@pytest.fixture(scope="module")
def servers(place: Place) -> Iterator[tuple[Serving, Serving]]:
    """One that follows, and one of two processes, begun at once with an empty cache."""
    one = place.serve("--follow", "1s")
    several = place.serve("--workers", "2")
    yield one, several
    assert one.end() == 0
    assert several.end() == 0


@pytest.fixture(scope="module")
def ports(servers: tuple[Serving, Serving]) -> tuple[int, int]:
    one, several = servers
    return one.wait_for_start(), several.wait_for_start()


@pytest.mark.slow
def test_two_servers_bring_a_release_into_one_cache_at_once(
    place: Place, ports: tuple[int, int]
) -> None:
    for port in ports:
        version, score = asked(port)
        assert (version, score) == ("v1.0.0", 3.0)
    # Nothing half-brought is left beside it.
    (kept,) = (place.cache / "served").iterdir()
    assert (kept / "nbci-release.json").is_file()


def workers_of(serving: Serving) -> list[int]:
    pid = serving.process.pid
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Whether the process is there, and has not ended without being waited for."""
    try:
        _, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return False
    return rest.split()[0] != "Z"


class Load:
    """Clients that ask again and again, each with a new connection."""

    def __init__(self, port: int, clients: int) -> None:
        self._port = port
        self._is_over = threading.Event()
        self.answered: list[tuple[str, float]] = []
        self.lost = 0
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._is_over.is_set():
            try:
                self.answered.append(asked(self._port))
            except (ConnectionError, http.client.HTTPException):
                self.lost += 1


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_only_what_it_had_with_it(
    servers: tuple[Serving, Serving], ports: tuple[int, int]
) -> None:
    _, several = servers
    port = ports[1]
    before = workers_of(several)
    load = Load(port, clients=4)
    try:
        wait_until(lambda: len(load.answered) > 20)
        os.kill(before[0], signal.SIGKILL)
        assert several.next_event("worker died")["code"] == -signal.SIGKILL
        started = several.next_event("worker ready")["pid"]
        since = len(load.answered)
        wait_until(lambda: len(load.answered) > since + 20)
    finally:
        load.end()
    # Each client waits for one answer at a time.
    assert load.lost <= 4
    assert set(load.answered) == {("v1.0.0", 3.0)}
    assert {*workers_of(several)} == {before[1], started}


@pytest.mark.slow
def test_of_a_server_that_is_killed_nothing_stays(place: Place) -> None:
    killed = place.serve("--workers", "2")
    port = killed.wait_for_start()
    workers = workers_of(killed)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as waiting:
        waiting.sendall(_LIVE)
        assert waiting.recv(100).startswith(b"HTTP/1.1 200 ")
        killed.process.kill()
        killed.process.wait()
        wait_until(lambda: not any(map(is_running, workers)))
    killed.end()
    left = {path for path in place.temporary.iterdir() if not is_held(path)}
    assert left

    # The port is free; the folder of the counts goes when another server begins.
    with socket.create_server(("127.0.0.1", port)):
        pass
    following = place.serve("--workers", "2", "--port", str(port))
    assert following.wait_for_start() == port
    assert not left & {*place.temporary.iterdir()}
    assert following.end() == 0


def is_held(folder: Path) -> bool:
    lock = lock_folder(folder)
    if lock is not None:
        os.close(lock)
    return lock is None


@pytest.mark.slow
def test_the_kernel_of_a_server_that_is_killed_ends(tmp_path: Path) -> None:
    server = Server(ServerSettings(models=(notebook_model(tmp_path),)))
    pid = server.process.pid
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    (kernel,) = [int(found) for path in threads for found in path.read_text().split()]
    assert is_running(kernel)
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not is_running(kernel))
    server.end()


@pytest.mark.slow
def test_a_thousand_connections_that_say_nothing_keep_nobody_out(ports: tuple[int, int]) -> None:
    port, _ = ports
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for number in range(1000):
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            opened.enter_context(connection)
            connection.sendall(_LIVE[: number % 20])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as watching:
            watching.sendall(_LIVE)
            assert watching.recv(100).startswith(b"HTTP/1.1 200 ")
        asked(port)


@pytest.mark.slow
def test_what_is_followed_may_go_away_and_come_back(
    place: Place, servers: tuple[Serving, Serving], ports: tuple[int, int]
) -> None:
    one, _ = servers
    port, _ = ports
    origin, remote, away = (place.folder / name for name in ("origin.git", "remote", "away"))
    told = ("not followed", "followed again", "switched")

    origin.rename(away)
    found = one.next_event(*told)
    assert found["event"] == "not followed"
    assert found["reason"].startswith("linear#production: ")
    assert asked(port) == ("v1.0.0", 3.0)
    away.rename(origin)
    assert one.next_event(*told)["event"] == "followed again"

    # It sees that another version is meant, and cannot bring it.
    remote.rename(away)
    promoted = place.project("promote", "latest")
    assert promoted.returncode == 0, promoted.stderr
    assert one.next_event(*told)["event"] == "not followed"
    assert asked(port) == ("v1.0.0", 3.0)
    shutil.rmtree(remote, ignore_errors=True)
    away.rename(remote)
    assert one.next_event(*told)["version"] == "v1.0.1"
    assert one.next_event(*told)["event"] == "followed again"
    assert asked(port) == ("v1.0.1", 6.0)


@pytest.mark.slow
def test_what_has_begun_is_answered_when_all_processes_end(
    servers: tuple[Serving, Serving], ports: tuple[int, int]
) -> None:
    # The last test of this server.
    _, ending = servers
    _, port = ports
    body = request_body([[1, 1, 1]])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as begun:
        head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        # Its answer says that the request is at work.
        begun.sendall(f"{head}expect: 100-continue\r\n\r\n".encode())
        assert begun.recv(1000).startswith(b"HTTP/1.1 100 ")
        ending.process.terminate()
        wait_until(lambda: not is_listening(port))
        begun.sendall(body)
        assert begun.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert ending.end() == 0


def is_listening(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20):
            return True
    except ConnectionError:
        return False
