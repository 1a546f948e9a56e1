"""`nbci jenkins doctor`, and `status`, which look and change nothing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from nbci.jenkins.agents import Agent, agent_findings
from nbci.jenkins.doctor import has_labels, wanted_labels
from tests.support.jenkins import Answer, FakeBuild

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console
    from tests.support.jenkins import FakeJenkins

_DOCTOR = ("jenkins", "doctor", "--job", "team/train", "--json")


def _findings(nbci: Console, at: dict[str, str], code: int = 0) -> dict[str, dict[str, str]]:
    done = nbci(*_DOCTOR, env=at)
    assert done.returncode == code, done.stdout + done.stderr
    return {finding["name"]: finding for finding in json.loads(done.stdout)}


def _ask_for(folder: Path, label: str) -> None:
    (folder / "n.py").write_text(f'# %% tags=["step:a", "agent:{label}"]\nx = 1\n')
    (folder / "Jenkinsfile").write_text(
        "// >>> nbci: from n.py\n// <<< nbci\n"
        "nbciPipeline(target: nbciTarget, label: 'cmd', labels: [x: 'cmd && gpu'])\n"
    )


def test_a_controller_is_looked_at(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    assert nbci("jenkins", "run", "--job", "team/train", "--no-log", env=at).returncode == 0
    _ask_for(tmp_path, "x")
    found = _findings(nbci, at)
    assert found["Jenkins"] == {
        "name": "Jenkins",
        "state": "ok",
        "found": "2.568.2",
        "advice": None,
    }
    assert found["plugins"]["state"] == "ok"
    assert found["plugin warnings-ng"]["state"] == "note"
    assert found["user"]["found"].startswith("nobody")
    assert found["agent Built-In Node"]["state"] == "note"
    assert found["label cmd"]["found"] == "cmd1"
    assert found["label cmd && gpu"]["found"] == "cmd1"
    assert found["reports"]["found"] == "shown with style and pictures, scripts blocked"
    assert all(seen.method == "GET" for seen in jenkins.seen[-8:])


def test_a_label_that_nobody_carries(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    _ask_for(tmp_path, "tpu")
    found = _findings(nbci, at, code=4)
    assert "no agent carries it" in found["label tpu"]["found"]
    plain = nbci("jenkins", "doctor", "--job", "team/train", env=at)
    assert plain.stdout.endswith("missing: label tpu\n")


def test_a_plugin_that_is_needed_is_missing(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    plugins = [
        each
        for each in jenkins.recorded("plugins").document["plugins"]
        if each["shortName"] != "git"
    ]
    jenkins.answers = lambda seen: (
        jenkins.recorded("plugins", plugins=plugins) if "plugin" in seen.path else None
    )
    assert _findings(nbci, at, code=4)["plugins"]["found"] == "without git"


def test_what_may_not_be_seen_is_named(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    refusal = Answer(403, {}, b"<p>dev is missing the Overall/SystemRead permission</p>")
    jenkins.answers = lambda seen: (
        refusal if "plugin" in seen.path or "computer" in seen.path else None
    )
    found = _findings(nbci, at)
    assert "dev is missing the Overall/SystemRead permission" in found["plugins"]["found"]
    assert found["agents"]["state"] == "note"


_ON_AGENT = [
    {"name": "Python", "state": "ok", "found": "3.11.7 at /usr/bin/python3"},
    {"name": "nbci", "state": "ok", "found": "0.1.0 in /opt/nbci"},
    {"name": "kernel python3", "state": "ok", "found": "python"},
    {
        "name": "kernel ir",
        "state": "note",
        "found": "its program R does not exist",
        "advice": "install it anew",
    },
    {"name": "GPU", "state": "ok", "found": "none; steps that ask for one run without"},
]


def _agents(nbci: Console, at: dict[str, str]) -> dict[str, dict[str, str]]:
    done = nbci(*_DOCTOR, "--agents", "--command", "/opt/nbci/bin/nbci", env=at)
    assert done.returncode == 0, done.stdout + done.stderr
    return {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_agents_are_asked_by_a_build_that_leaves_nothing_behind(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    jenkins.artifacts = {"0.json": json.dumps(_ON_AGENT).encode(), "0.txt": b"Python 3.11.7\n"}
    found = _agents(nbci, at)
    asked = [seen for seen in jenkins.seen if "createItem" in seen.path]
    assert asked[0].path.partition("?")[0] == "/job/team/createItem"
    script = asked[1].body.decode()
    assert "NBCI_COMMAND=' + '/opt/nbci/bin/nbci'" in script
    assert "<sandbox>true</sandbox>" in script
    assert not any("nbci-doctor" in name for name in jenkins.jobs)
    names = re.findall(r"def asked = \[(.*)\]", script)[0].replace("'", "").split(", ")
    said = found[f"{names[0]}: nbci"]
    assert said["found"] == (
        "0.1.0 in /opt/nbci; 3.11.7 at /usr/bin/python3; kernels python3; GPU none"
    )
    assert found[f"{names[0]}: kernel ir"]["state"] == "note"
    assert all("did not answer" in found[f"{name}: nbci"]["found"] for name in names[1:])


def test_an_agent_without_nbci_is_named(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    jenkins.artifacts = {
        f"{at}.txt": b"Python 3.9.2\nno GPU that nvidia-smi shows\n" for at in range(3)
    }
    jenkins.artifacts["0.json"] = b"sh: nbci: not found"
    found = [each for name, each in _agents(nbci, at).items() if name.endswith(": nbci")]
    assert found
    assert all(
        each["found"] == "not there; Python 3.9.2; no GPU that nvidia-smi shows" for each in found
    )


def test_the_folder_goes_whatever_happens(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    refused = Answer(403, {}, b"<p>dev is missing the Job/Build permission</p>")
    jenkins.answers = lambda seen: refused if seen.path.endswith("/build") else None
    done = nbci(*_DOCTOR, "--agents", env=at)
    assert done.returncode == 2
    assert "dev is missing the Job/Build permission" in done.stderr
    assert not any("nbci-doctor" in name for name in jenkins.jobs)


def test_what_a_gpu_agent_lacks() -> None:
    agent = Agent(checks=_ON_AGENT, system="")
    found = {each.name: each for each in agent_findings(["gpu1"], {"gpu1": agent}, ["gpu1"])}
    assert found["gpu1: GPU"].found == "none, and the agent carries a label gpu"


@pytest.mark.parametrize(
    ("header", "state"),
    [
        ({}, "note"),
        ({"Content-Security-Policy": "default-src 'none'"}, "note"),
        ({"Content-Security-Policy": "sandbox; style-src 'self'; img-src 'self'"}, "ok"),
    ],
)
def test_how_reports_are_served(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], header: dict[str, str], state: str
) -> None:
    assert nbci("jenkins", "run", "--job", "team/train", "--no-log", env=at).returncode == 0
    jenkins.answers = lambda seen: Answer(200, header) if "/artifact/" in seen.path else None
    assert _findings(nbci, at)["reports"]["state"] == state


def test_labels_as_the_jenkinsfile_calls_them() -> None:
    text = "nbciPipeline(label: 'linux', labels: [gpu: 'linux && cuda', \"big\": 'm64'])"
    assert wanted_labels(["gpu", "tpu"], text) == ("linux", "linux && cuda", "tpu")
    assert wanted_labels(["gpu"], "") == ("gpu",)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [("a", True), ("a && b", True), ("a&&c", False), ("a || c", None), ("!a", None)],
)
def test_label_expressions(expression: str, answer: bool | None) -> None:
    assert has_labels({"assignedLabels": [{"name": "a"}, {"name": "b"}]}, expression) is answer


def test_status_lists_builds(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    assert "no builds yet" in nbci("jenkins", "status", "--job", "team/train", env=at).stdout
    for mode in ("", "fail"):
        nbci(
            "jenkins", "run", "--job", "team/train", "--no-log", "-p", f"NBCI_PARAMS={mode}", env=at
        )
    done = nbci("jenkins", "status", "--job", "team/train", "--json", env=at)
    assert [(build["number"], build["result"]) for build in json.loads(done.stdout)] == [
        (2, "FAILURE"),
        (1, "SUCCESS"),
    ]
    shown = nbci("jenkins", "status", "--job", "team/train", "-n", "1", env=at).stdout.splitlines()
    assert shown[1].split()[:2] == ["2", "FAILURE"]
    assert len(shown) == 2


def _waits(jenkins: FakeJenkins, job: str) -> FakeBuild:
    """A build of a job that waits for an agent."""
    build = FakeBuild(number=1, item=1, mode="nolabel")
    jenkins.add_job(job).builds.append(build)
    return build


@pytest.mark.parametrize("job", ["team/waits", "team/mb/feature%2Fa&b", "team/mb/gr\u00f6\u00dfe"])
def test_status_says_what_a_build_waits_for(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], job: str
) -> None:
    _waits(jenkins, job)
    _waits(jenkins, f"elsewhere/{job}").mode = "sleep"
    [row] = json.loads(nbci("jenkins", "status", "--job", job, "--json", env=at).stdout)
    assert row["result"] == "WAITING"
    assert "no-such-label" in row["description"]
    [other] = json.loads(
        nbci("jenkins", "status", "--job", f"elsewhere/{job}", "--json", env=at).stdout
    )
    assert other["result"] == "RUNNING"


def test_status_says_what_a_stage_waits_for_beside_others(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    """The log does not tell: it ends with what the other stages say."""
    _waits(jenkins, "team/waits").beside = True
    [row] = json.loads(nbci("jenkins", "status", "--job", "team/waits", "--json", env=at).stdout)
    assert row["result"] == "RUNNING"
    assert "no-such-label" in row["description"]


def test_every_agent_is_offline(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    _ask_for(tmp_path, "x")
    nodes = jenkins.recorded("nodes").document["computer"]
    for node in nodes:
        is_controller = "MasterComputer" in node["_class"]
        node.update({"numExecutors": 0} if is_controller else {"offline": True})
    jenkins.answers = lambda seen: (
        jenkins.recorded("nodes", computer=nodes) if "computer" in seen.path else None
    )

    found = _findings(nbci, at, code=4)

    assert found["agents"]["state"] == "missing"
    assert found["label cmd"]["state"] == "missing"


def test_the_name_of_the_job_stands_once(nbci: Console, at: dict[str, str]) -> None:
    done = nbci("jenkins", "doctor", "--job", "team/none", env=at)
    assert done.stdout.count("team/none") == 1, done.stdout


def test_what_has_ended_is_not_stopped(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    nbci("jenkins", "run", "--job", "team/train", "--no-log", env=at)
    ended = nbci("jenkins", "stop", "--job", "team/train", "1", env=at)
    assert ended.returncode == 2
    assert "build 1 of team/train has ended already" in ended.stderr
    assert (
        "nothing of team/train runs or waits"
        in nbci("jenkins", "stop", "--job", "team/train", env=at).stdout
    )
