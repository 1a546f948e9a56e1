"""`nbci jenkins run` from the queue to the exit code, against answers of a real controller."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

from nbci.jenkins.access import Access
from nbci.jenkins.controller import Controller
from nbci.jenkins.place import find_job
from tests.support.jenkins import MULTIBRANCH_CLASS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.console import Console
    from tests.support.jenkins import FakeBuild, FakeJenkins, Seen

_RUN = ("jenkins", "run", "--job", "team/train")


@pytest.mark.parametrize(
    ("mode", "result", "code"),
    [
        ("", "SUCCESS", 0),
        ("unstable", "UNSTABLE", 3),
        ("fail", "FAILURE", 1),
        ("infrastructure", "FAILURE", 4),
    ],
)
def test_it_ends_as_the_build_ends(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], mode: str, result: str, code: int
) -> None:
    done = nbci(*_RUN, *(("-p", f"NBCI_PARAMS={mode}") if mode else ()), env=at)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"build 1 of team/train ended as {result}" in done.stdout
    assert (f"FAILURE: {jenkins.trouble}" in done.stdout) == (mode == "infrastructure")
    log = jenkins.log_of(jenkins.jobs["team/train"].builds[0]).decode()
    assert [
        line for line in done.stdout.splitlines() if line in set(log.splitlines())
    ] == log.splitlines()
    assert "ha:////" not in done.stdout
    assert "nbci: stage train: " in done.stdout


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (
            (
                "digits: failed: infrastructure, not the notebook: try again;"
                " step a failed: no space left"
            ),
            4,
        ),
        ("no node carries the label 'tpu': say with labels: what it is called here", 4),
        ("digits: failed: step a failed: ValueError: our infrastructure: gone", 1),
    ],
)
def test_a_machine_to_blame_is_told_from_a_step(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], line: str, code: int
) -> None:
    """By the words with which the shared library ends a build."""
    jenkins.trouble = line
    done = nbci(*_RUN, "-p", "NBCI_PARAMS=infrastructure", "--no-log", env=at)
    assert done.returncode == code


@pytest.mark.parametrize(("graph_view", "rest_api"), [(True, True), (False, True), (True, False)])
def test_a_stage_begins_and_ends_once(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], graph_view: bool, rest_api: bool
) -> None:
    jenkins.graph_view, jenkins.rest_api = graph_view, rest_api
    done = nbci(*_RUN, "-p", "NBCI_PARAMS=fail", "--no-log", env=at)
    said = [line for line in done.stdout.splitlines() if line.startswith("nbci: stage ")]
    assert len(said) == len(set(said))
    assert "nbci: stage train: FAILED" in said
    assert [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("FAILED")] == [
        ["FAILED", "train"]
    ]


def test_a_controller_that_shows_no_stages(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    jenkins.graph_view = jenkins.rest_api = False
    done = nbci(*_RUN, "-p", "NBCI_PARAMS=fail", env=at)
    assert done.returncode == 1, done.stderr
    assert "Finished: FAILURE" in done.stdout


def test_the_report_is_fetched(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    done = nbci(*_RUN, "--fetch", "here", "--no-log", env=at)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "here/report.json").read_text()) == {"verdict": "passed"}
    assert "Started by user" not in done.stdout


@pytest.mark.parametrize("beside", ["", ".nbci/build/p.yaml/result/"])
def test_the_report_is_fetched_from_an_archive(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path, beside: str
) -> None:
    packed = {
        "report/index.html": "<p>",
        "report/cells/größe.html": "<b>",
        "notebooks/a.ipynb": "{}",
    }
    jenkins.artifacts = {f"{beside}report.zip": zipped(packed)}
    done = nbci(*_RUN, "--fetch", "here", "--no-log", env=at)
    assert done.returncode == 0, done.stderr
    assert "2 files of the report" in done.stdout
    assert (tmp_path / "here/index.html").read_text() == "<p>"
    assert (tmp_path / "here/cells/größe.html").read_text() == "<b>"
    assert not (tmp_path / "here/notebooks").exists()


def test_the_reports_of_two_pipelines_are_fetched(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    jenkins.artifacts = {
        f"{name}/report.zip": zipped({"report/index.html": name}) for name in ("a", "b")
    }
    assert nbci(*_RUN, "--fetch", "here", "--no-log", env=at).returncode == 0
    assert [(tmp_path / f"here/{name}/report/index.html").read_text() for name in ("a", "b")] == [
        "a",
        "b",
    ]


def test_an_archive_that_is_none(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    jenkins.artifacts = {"report.zip": b"PK of no archive"}
    done = nbci(*_RUN, "--fetch", "here", "--no-log", env=at)
    assert done.returncode == 5
    assert "the artifact report.zip is no archive" in done.stderr
    jenkins.artifacts = {"report.zip": zipped({"../report/../../evil": "x"})}
    done = nbci(*_RUN, "--fetch", "here", "--no-log", env=at)
    assert done.returncode == 2
    assert "is no name of a file below a folder" in done.stderr
    assert not [path for path in (tmp_path.parent, tmp_path) if (path / "evil").exists()]


def zipped(files: Mapping[str, str]) -> bytes:
    """An archive of these files."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return whole.getvalue()


def test_the_end_as_json(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    done = nbci(*_RUN, "-p", "NBCI_PARAMS=unstable", "--json", env=at)
    said = json.loads(done.stdout)
    assert (said["number"], said["result"], said["exit_code"]) == (1, "UNSTABLE", 3)
    assert said["url"] == f"{jenkins.url}job/team/job/train/1/"
    assert "Finished: UNSTABLE" in done.stderr


def test_what_is_stopped_elsewhere_is_aborted(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    watching = nbci.start(*_RUN, "-p", "NBCI_PARAMS=sleep", env=at)
    assert watching.stdout is not None
    assert any("build 1 began" in line for line in watching.stdout)
    stopped = nbci("jenkins", "stop", "--job", "team/train", env=at)
    assert stopped.returncode == 0, stopped.stderr
    said, _ = watching.communicate(timeout=60)
    assert watching.returncode == 130, said
    assert "ended as ABORTED" in said


def test_a_label_that_no_agent_has_ends_the_build(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    done = nbci(*_RUN, "-p", "NBCI_PARAMS=nolabel", "--no-agent", "1s", env=at)
    assert done.returncode == 4
    assert (
        "waited for the label 'no-such-label', which no agent has; the build was stopped"
        in done.stdout
    )
    assert jenkins.jobs["team/train"].builds[0].stopped


def test_an_item_whose_label_no_agent_has_leaves_the_queue(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    jenkins.stays_in_queue = "There are no nodes with the label ‘tpu’"  # noqa: RUF001 - Jenkins' own quotes
    done = nbci(*_RUN, "--no-agent", "1s", env=at)
    assert done.returncode == 4
    assert "waited for the label 'tpu'" in done.stdout
    assert jenkins.items[38]["cancelled"]


def test_what_is_cancelled_in_the_queue_is_said_to_be(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    jenkins.stays_in_queue = "In the quiet period. Expires in 4.9 sec"

    def cancel_at_the_second_look(seen: Seen) -> None:
        if "queue/item" in seen.path:
            item = jenkins.items[38]
            item["cancelled"] = item["asked"] > 1

    jenkins.answers = cancel_at_the_second_look
    done = nbci(*_RUN, env=at)
    assert done.returncode == 130
    assert "waiting: In the quiet period" in done.stdout
    assert "it was cancelled in the queue" in done.stdout


def test_an_expired_item_is_found_by_its_build(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    def forget(seen: object) -> None:
        job = jenkins.jobs["team/train"]
        if job.builds and job.builds[0].number == 1:
            jenkins.items.clear()

    jenkins.answers = forget  # never answers itself
    first = nbci(*_RUN, env=at)
    assert first.returncode == 0, first.stderr


def test_an_item_that_is_gone_is_said_to_be(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    jenkins.answers = lambda seen: (
        jenkins.recorded("missing") if "queue/item" in seen.path else None
    )
    done = nbci(*_RUN, env=at)
    assert done.returncode == 4
    assert "the queue no longer has item 38" in done.stderr


def test_a_restart_is_waited_for(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    down = threading.Event()

    def restart(build: FakeBuild) -> None:
        if build.told == 2 and not down.is_set():
            down.set()
            begin = jenkins.restart()
            threading.Timer(1, begin).start()

    jenkins.on_log = restart
    done = nbci(*_RUN, env=at)
    assert down.is_set()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "does not answer: " in done.stdout
    assert "the controller answers again" in done.stdout
    log = jenkins.log_of(jenkins.jobs["team/train"].builds[0]).decode()
    assert [
        line for line in done.stdout.splitlines() if line in set(log.splitlines())
    ] == log.splitlines()
    assert "ha:////" not in done.stdout


def test_a_controller_that_stays_away_is_given_up(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    def go(build: FakeBuild) -> None:
        jenkins.getting_ready = 10**6

    jenkins.on_log = go
    done = nbci(*_RUN, "--away", "1s", env=at)
    assert done.returncode == 4
    assert "the controller is starting, for 1 seconds now" in done.stderr
    assert "nbci jenkins status" in done.stderr


def test_long_parameters_arrive(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    value = "quote ' \" $HOME\n" + "ü" * 50_000
    done = nbci(*_RUN, "-p", f"NBCI_PARAMS={value}", "--no-log", env=at)
    assert done.returncode == 1, done.stderr
    assert jenkins.items[38]["mode"] == value
    assert all(len(seen.path) < 200 for seen in jenkins.seen)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-p", "NBCI_PARAM=1"), "did you mean 'NBCI_PARAMS'?"),
        (("-p", "nothing"), "write NAME=VALUE"),
        (("--branch", "main"), "has no branches"),
        (("--away", "soon"), "is no duration"),
    ],
)
def test_what_jenkins_would_drop_silently_is_refused(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], words: tuple[str, ...], said: str
) -> None:
    done = nbci(*_RUN, *words, env=at)
    assert done.returncode == 2
    assert said in done.stderr
    assert not jenkins.items


def test_a_job_without_parameters_is_built(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    jenkins.add_job("team/plain", parameterised=False)
    assert nbci("jenkins", "run", "--job", "team/plain", env=at).returncode == 0
    refused = nbci("jenkins", "run", "--job", "team/plain", "-p", "a=1", env=at)
    assert refused.returncode == 2
    assert "learns of a Jenkinsfile's parameters in its first build" in refused.stderr


def test_artifacts_that_point_outside_are_refused(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    jenkins.artifacts = {"report/../../evil": b"x", "report/fine": b"y"}
    done = nbci(*_RUN, "--fetch", "here", env=at)
    assert done.returncode == 2
    assert "is no name of a file below a folder" in done.stderr
    assert not (tmp_path.parent / "evil").exists()
    assert not (tmp_path / "evil").exists()


def test_branches(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    kind = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"
    jenkins.add_job("team/digits", kind=kind)
    jenkins.add_job("team/digits/feature%2Fx")
    jenkins.jobs["team/digits"].kind = kind
    done = nbci("jenkins", "run", "--job", "team/digits", "--branch", "feature/x", env=at)
    assert done.returncode == 0, done.stderr
    assert any("/job/feature%252Fx/" in seen.path for seen in jenkins.seen)
    wrong = nbci("jenkins", "run", "--job", "team/digits", "--branch", "feature/y", env=at)
    assert wrong.returncode == 2
    assert "did you mean 'feature/x'?" in wrong.stderr


@pytest.mark.parametrize(
    ("branch", "job"),
    [
        # as a controller with branch-api 1280 named them
        ("a&b", "a&b"),
        ("a,b", "a,b"),
        ("a;b", "a;b"),
        ("a=b", "a=b"),
        ("it's", "it's"),
        ("user@x", "user@x"),
        ("v1+gpu", "v1+gpu"),
        ("größe", "größe"),
        ("feature/größe-x", "feature%2Fgröße-x"),
        ("fix#12", "fix%2312"),
        ("feature/x", "feature%2Fx"),
        ("dots.and-dash_x", "dots.and-dash_x"),
        ("100%", "100%25"),
        ("PR-7", "PR-7"),
    ],
)
def test_a_branch_is_found_by_what_its_job_calls_itself(
    jenkins: FakeJenkins, branch: str, job: str
) -> None:
    jenkins.add_job("team/digits", kind=MULTIBRANCH_CLASS)
    jenkins.add_job(f"team/digits/{job}")
    jenkins.jobs["team/digits"].kind = MULTIBRANCH_CLASS
    controller = Controller(Access(url=jenkins.url))

    name, found = find_job(controller, "team/digits", branch, None)

    assert name == f"team/digits/{job}"
    assert found["name"] == job


def test_a_build_that_waits_already_is_not_triggered_twice(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    """Jenkins answers with the item that waits, when it is of the same parameters."""
    watching = [nbci.start(*_RUN, "-p", "NBCI_PARAMS=fail", env=at) for _ in range(3)]
    said = [process.communicate(timeout=60)[0] for process in watching]
    assert [process.returncode for process in watching] == [1, 1, 1], said
    assert 1 <= len(jenkins.jobs["team/train"].builds) <= 3
