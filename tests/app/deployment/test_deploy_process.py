"""From a release to a server that answers, and back, with a real process on this machine."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from nbci.app.deployment.standing import check_deployments
from nbci.config import find_project
from nbci.deployment.server_client import Client
from nbci.registry.queries import deployment_rows
from nbci.registry.read import read_models
from tests.app.deployment.projects import PIPELINE, ReleasedProject
from tests.deployment.bundles import BAD
from tests.support.processes import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCHED = PIPELINE.replace(
    "ready_within: 20s}",
    "ready_within: 20s, smoke_for: 1s, smoke: [{metric: error_share, at_most: 1%}]}",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReleasedProject]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))
    made = ReleasedProject(tmp_path)
    for version in ("v1.0.0", "v1.1.0", BAD):
        made.release(version)
    (made.root / "p.yaml").write_text(WATCHED)
    yield made
    made.deploy("linear", "shelf", stop=True)


@pytest.mark.slow
def test_a_server_that_fails_gives_way_to_the_version_before(
    project: ReleasedProject, tmp_path: Path
) -> None:
    first = project.deploy("linear@v1.0.0", "shelf").deployments[0]
    assert first.state == "deployed"
    assert first.address is not None
    # The figures are the server's own, which counts the probes.
    assert first.figures["requests"] > 1
    assert first.figures["error_share"] == 0.0
    (found,) = check_deployments(
        find_project(project.root),
        project.git,
        deployment_rows(read_models(project.git)),
        os.environ,
    )
    assert (found.healthy, found.health) == (True, "ready")

    bad = project.deploy(f"linear@{BAD}", "shelf").deployments[0]
    assert bad.state == "back"
    assert "does not answer its sample" in str(bad.reason)
    client = Client(first.address, os.environ)
    assert client.version("linear") == "v1.0.0"

    # A server that ends while it is watched is no version that stays.
    (record,) = tmp_path.glob("states/nbci/deployments/*/linear/shelf/process.json")
    pid = json.loads(record.read_text())["pid"]

    def end_it(text: str) -> None:
        if text.startswith("watching"):
            os.kill(pid, signal.SIGTERM)
            wait_for_end(pid)

    project.told = Told(end_it)
    ended = project.deploy("linear@v1.1.0", "shelf").deployments[0]
    assert (ended.state, ended.now) == ("back", "v1.0.0")
    assert deployment_rows(read_models(project.git))[0].version == "v1.0.0"


class Told(list[str]):
    """What was said; somebody listens."""

    def __init__(self, listen: object) -> None:
        super().__init__()
        self._listen = listen

    def append(self, text: str) -> None:
        super().append(text)
        self._listen(text)  # type: ignore[operator] # a function
