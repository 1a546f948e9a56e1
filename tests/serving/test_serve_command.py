"""`nbci serve`: from a promotion over a rollback to the end, with real git, DVC and connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving.linear import request_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.console import Console


def release(nbci: Console, scale: float, *options: str) -> None:
    run = ("run", "p.yaml", "-q", "-p", f"scale={scale}")
    for words in (run, ("promote", "latest", *options)):
        done = nbci(*words)
        assert done.returncode == 0, done.stderr


def asked(port: int) -> tuple[str, float]:
    """The version that answers, and its first score for a row of ones."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"content-type": "application/json"}
    connection.request("POST", "/v2/models/linear/infer", request_body([[1, 1, 1]]), headers)
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer["model_version"], answer["outputs"][0]["data"][0]


@contextlib.contextmanager
def served_from(nbci: Console, folder: Path, *words: str) -> Iterator[int]:
    """Serve without a checkout, from the repository's URL; the port."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    words = ("serve", *words, "--url", str(folder / "origin.git"), "--port", "0")
    serving = nbci.start(*words, cwd=elsewhere)
    output = log = ""
    try:
        assert serving.stdout is not None
        line = serving.stdout.readline().strip()
        if line:
            yield int(line.rpartition(":")[2])
    finally:
        serving.terminate()
        output, log = serving.communicate(timeout=30)
    assert serving.returncode == 0, output + log


def served_version(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/v2/models/linear")
    (version,) = json.loads(connection.getresponse().read())["versions"]
    connection.close()
    return str(version)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_for(port: int, expected: tuple[str, float]) -> None:
    wait_until(lambda: asked(port) == expected)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_promoted_is_served_followed_and_rolled_back(
    project: Console, tmp_path: Path, workers: int
) -> None:
    release(project, 1.0)
    # No checkout is needed, only the repository.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ("serve", "linear#production", "--url", str(tmp_path / "origin.git"), "--port", "0")
    options = ("--follow", "1h", "--workers", str(workers), "--log", tmp_path / "log")
    canary = ("--canary", "linear#candidate=100%")
    serving = project.start(*words, *options, *canary, cwd=elsewhere)
    try:
        assert serving.stdout is not None
        line = serving.stdout.readline().strip()
        assert line.startswith("serving linear@v1.0.0 at http://127.0.0.1:"), line
        port = int(line.rpartition(":")[2])
        assert asked(port) == ("v1.0.0", 3.0)

        # There was none; now a candidate comes, and answers all that the share of 100 % sends it.
        release(project, 2.0, "--stage", "candidate")
        serving.send_signal(signal.SIGHUP)
        wait_for(port, ("v1.0.1", 6.0))
        assert served_version(port) == "v1.0.0"

        assert project("promote", "latest").returncode == 0
        demote = ("demote", "linear", "--stage", "candidate", "--reason", "test")
        assert project(*demote).returncode == 0
        serving.send_signal(signal.SIGHUP)
        wait_until(lambda: served_version(port) == "v1.0.1")

        back = ("rollback", "linear", "--stage", "production", "--reason", "test")
        assert project(*back).returncode == 0
        serving.send_signal(signal.SIGHUP)
        wait_for(port, ("v1.0.0", 3.0))
    finally:
        serving.terminate()
        output, log = serving.communicate(timeout=30)
    assert serving.returncode == 0, output + log
    assert "nothing of linear is in stage candidate" in log
    if workers == 1:
        _replay(project, tmp_path / "log")


def _replay(project: Console, log: Path) -> None:
    """As a step of a pipeline, whose figures are those of the run."""
    models = '["linear@v1.0.0", "linear#production"]'
    (project.cwd / "replay.yaml").write_text(
        f"steps: {{compare: {{replay: {{log: {log}, models: {models}, window: 1d}}}}}}\n"
        "gates: [{metric: same_share, at_least: 1.0}]\n"
    )
    same = project("run", "replay.yaml", "--json")
    assert same.returncode == 0, same.stdout + same.stderr
    assert json.loads(same.stdout)["metrics"]["compare:first_failed"] == 0
    other = project("replay", log, "--model", "linear@v1.0.0", "--model", "linear@v1.0.1")
    assert other.returncode == 0, other.stderr
    # How many were asked depends on how soon each switch was seen.
    assert re.search(r" 0 of [1-9]\d* rows answered alike", other.stdout), other.stdout
    assert "[3, 3] → [6, 6]" in other.stdout
    unlike = project("replay", log, "--model", "linear@v1.0.0")
    assert unlike.returncode == 2
    assert "two releases are compared, 1 are given" in unlike.stderr


def test_what_cannot_be_served_is_refused(project: Console, tmp_path: Path) -> None:
    none = project("serve", "linear", "--port", "0")
    assert none.returncode == 2
    assert "there is no released model 'linear'" in none.stderr
    everywhere = project("serve", "linear", "--host", "0.0.0.0", "--port", "0")
    assert everywhere.returncode == 2
    assert "other machines could ask at 0.0.0.0, and there is no token" in everywhere.stderr


@pytest.mark.slow
def test_a_release_that_was_tampered_with_is_not_served(project: Console, tmp_path: Path) -> None:
    release(project, 1.0)
    files = sorted((tmp_path / "remote").rglob("*"), key=lambda path: path.stat().st_size)
    for path in files:
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    done = project("serve", "linear", "--url", str(tmp_path / "origin.git"), "--port", "0")
    assert done.returncode == 5, done.stderr
