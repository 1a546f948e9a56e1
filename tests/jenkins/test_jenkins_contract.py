"""What the fake does, a real controller does: one suite for both.

The real one is left out unless NBCI_JENKINS_URL (and _USER and _TOKEN) name it. All jobs are in a
folder that is made for the test and removed after it.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import pytest

from tests.support.console import ROOT
from tests.support.tools import JENKINS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.console import Console
    from tests.support.jenkins import FakeJenkins

_SCRIPT = """
def mode = params.NBCI_PARAMS
node {
  stage('plan') { writeFile file: 'report/report.json', text: '{"verdict": "passed"}' }
  stage('train') {
    if (mode == 'sleep') { sleep 600 }
    if (mode == 'nolabel') { node('no-such-label') { echo 'x' } }
    if (mode == 'fail') { error 'boom' }
    if (mode == 'unstable') { unstable 'a gate refused' }
  }
  stage('report') { archiveArtifacts 'report/**' }
}
"""
_JOB = f"""<?xml version='1.1' encoding='UTF-8'?>
<flow-definition plugin="workflow-job">
  <description>a test of nbci</description>
  <properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
    <hudson.model.StringParameterDefinition><name>NBCI_PARAMS</name><defaultValue></defaultValue>
    </hudson.model.StringParameterDefinition>
  </parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>
  <definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition" plugin="workflow-cps">
    <script>{escape(_SCRIPT)}</script><sandbox>true</sandbox>
  </definition>
</flow-definition>
"""
_FOLDER = "<com.cloudbees.hudson.plugins.folder.Folder/>"
_CALL = """
import json, os, sys
from pathlib import Path
from nbci.config import find_project
from nbci.jenkins.access import find_access
from nbci.jenkins.controller import Controller
controller = Controller(find_access(find_project(Path.cwd()), os.environ))
for method, *words in json.load(sys.stdin):
    getattr(controller, method)(*words)
"""


@dataclass(frozen=True)
class Place:
    """A folder on a controller, and the environment to reach it."""

    folder: str
    env: dict[str, str]

    @property
    def job(self) -> str:
        return f"{self.folder}/train"


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.needs("jenkins"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    fake: FakeJenkins | None = (
        request.getfixturevalue("jenkins") if request.param == "fake" else None
    )
    env = dict(JENKINS) if fake is None else {"NBCI_JENKINS_URL": fake.url}
    found = Place(folder=f"nbci-test-{secrets.token_hex(4)}", env=env)
    _call(tmp_path, env, ["create", found.folder, _FOLDER], ["create", found.job, _JOB])
    yield found
    _call(tmp_path, env, ["delete", found.folder])


def _call(folder: Path, env: dict[str, str], *calls: list[str]) -> None:
    """In a process of its own: in this one, no test may reach another machine."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", _CALL],
        input=json.dumps(calls),
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("mode", "code"), [("", 0), ("unstable", 3), ("fail", 1)])
def test_a_build_ends(nbci: Console, place: Place, tmp_path: Path, mode: str, code: int) -> None:
    words = ("jenkins", "run", "--job", place.job, "-p", f"NBCI_PARAMS={mode}", "--fetch", "here")
    done = nbci(*words, env=place.env)
    assert done.returncode == code, done.stdout + done.stderr
    result = {0: "SUCCESS", 1: "FAILURE", 3: "UNSTABLE"}[code]
    assert f"Finished: {result}" in done.stdout
    assert f"build 1 of {place.job} ended as {result}" in done.stdout
    if code != 1:
        assert json.loads((tmp_path / "here/report.json").read_text()) == {"verdict": "passed"}
    listed = json.loads(
        nbci("jenkins", "status", "--job", place.job, "--json", env=place.env).stdout
    )
    assert [build["result"] for build in listed] == [result]


def test_a_build_is_stopped(nbci: Console, place: Place) -> None:
    watching = nbci.start(
        "jenkins", "run", "--job", place.job, "-p", "NBCI_PARAMS=sleep", env=place.env
    )
    assert watching.stdout is not None
    assert any("stage train" in line for line in watching.stdout)
    stopped = nbci("jenkins", "stop", "--job", place.job, "1", env=place.env)
    assert stopped.returncode == 0, stopped.stderr
    rest, _ = watching.communicate(timeout=120)
    assert watching.returncode == 130, rest


def test_a_label_that_nobody_carries(nbci: Console, place: Place) -> None:
    words = ("jenkins", "run", "--job", place.job, "-p", "NBCI_PARAMS=nolabel", "--no-agent", "3s")
    done = nbci(*words, env=place.env)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "waited for the label 'no-such-label'" in done.stdout


def test_two_watch_at_once(nbci: Console, place: Place) -> None:
    ended: list[int] = []

    def run() -> None:
        ended.append(
            nbci(
                "jenkins", "run", "--job", place.job, "-p", "NBCI_PARAMS=fail", env=place.env
            ).returncode
        )

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [1, 1]


def test_sync_twice_changes_nothing_the_second_time(nbci: Console, place: Place) -> None:
    job = f"{place.folder}/inner/digits"
    words = ("jenkins", "sync", "--job", job, "--yes", "--json", "--repository")
    first = nbci(*words, "https://git.example.com/one.git", env=place.env)
    assert [change["action"] for change in json.loads(first.stdout)["changes"]] == [
        "used",
        "create",
        "create",
    ]
    again = nbci(*words, "https://git.example.com/one.git", env=place.env)
    assert [change["action"] for change in json.loads(again.stdout)["changes"]] == [
        "used",
        "keep",
        "keep",
    ], again.stdout
    moved = nbci(*words, "https://git.example.com/two.git", env=place.env)
    assert json.loads(moved.stdout)["changes"][2]["action"] == "update"
    still = nbci(*words, "https://git.example.com/two.git", env=place.env)
    assert json.loads(still.stdout)["changes"][2]["action"] == "keep"
    refused = nbci(
        "jenkins", "sync", "--job", place.job, "--yes", "--repository", "https://u", env=place.env
    )
    assert refused.returncode == 2


def test_doctor_looks(nbci: Console, place: Place) -> None:
    done = nbci("jenkins", "doctor", "--job", place.job, "--json", env=place.env)
    assert done.returncode in {0, 4}, done.stderr
    assert {"Jenkins", "user", "plugins"} <= {
        finding["name"] for finding in json.loads(done.stdout)
    }


def test_agents_are_asked(nbci: Console, place: Place) -> None:
    done = nbci("jenkins", "doctor", "--job", place.job, "--agents", "--json", env=place.env)
    assert done.returncode in {0, 4}, done.stderr
    assert any(finding["name"].endswith(": nbci") for finding in json.loads(done.stdout))
    listed = nbci(
        "jenkins", "doctor", "--job", f"{place.folder}/nbci-doctor", "--json", env=place.env
    )
    assert "nbci-doctor-" not in listed.stdout


def test_a_job_that_is_not_there(nbci: Console, place: Place) -> None:
    done = nbci("jenkins", "run", "--job", f"{place.folder}/nothing", env=place.env)
    assert done.returncode == 2
    assert "there is no such thing" in done.stderr
