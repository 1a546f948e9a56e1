"""A released model is trained again: real git, real DVC remote, real kernels."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.app.retraining.decide import (
    RetrainRequest,
    decide,
    foresee_retraining,
    refuse_waiting,
    reset,
)
from nbci.app.retraining.follow import checked_imports
from nbci.app.retraining.model_in_use import known_decisions
from nbci.app.retraining.note_events import close_by_window, new_event, note_event
from nbci.cli.main import run
from nbci.config import find_project
from nbci.errors import InfrastructureError, IntegrityError, UsageError
from nbci.git.process import Git
from nbci.records.codec import to_json
from nbci.records.decision import NewData
from nbci.records.monitoring import MonitorResult, Window
from nbci.records.verdict import GateResult
from nbci.registry.decisions import LostTurn, add_decision
from tests.support.jenkins import FakeBuild
from tests.support.releases import Released, copy_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.config import Project
    from nbci.records.decision import Decision, EventKind
    from tests.support.jenkins import FakeJenkins

BROKEN = GateResult(
    gate="psi of C <= 0.2",
    asked="<= 0.2",
    result="failed",
    reason="psi of C is 0.31, more than 0.2",
    found=0.31,
)
TRIGGERS = """\
triggers: {monitor: {pipeline: watch.yaml, at_most_every: 1d, attempts: 3}}
gates:
  - {metric: accuracy, at_least: 0.915}
"""


def judgement(**changes: Any) -> MonitorResult:
    result = MonitorResult(
        id="M1",
        model="digits",
        version="v1.0.0",
        result="failed",
        judged_utc="2026-05-02T00:00:00Z",
        sentence=BROKEN.reason,
        window=Window(
            source="logs/digits",
            rows=120,
            start_utc="2026-05-01T00:00:00Z",
            end_utc="2026-05-02T00:00:00Z",
        ),
        nbci="0",
        gates=(BROKEN,),
    )
    return replace(result, **changes)


@pytest.fixture(scope="module")
def _in_use(_built: Released, tmp_path_factory: pytest.TempPathFactory) -> Released:
    """The first run is promoted; the pipeline has limits since."""
    copied = copy_of(_built, tmp_path_factory.mktemp("in-use"))
    (_built.root / "linked").unlink()
    (_built.root / "linked").symlink_to(copied.remote)
    done = copied.nbci("promote", copied.runs[0], "--json")
    assert done.returncode == 0, done.stderr
    with (copied.project / "pipeline.yaml").open("a") as file:
        file.write(TRIGGERS)
    copied.git("commit", "-qam", "limits")
    copied.git("push", "-q", "origin", "main")
    return copied


@pytest.fixture
def used(_in_use: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    copied = copy_of(_in_use, tmp_path / "used")
    monkeypatch.setenv("NBCI_CACHE", str(copied.root / "cache"))
    monkeypatch.chdir(copied.project)
    for name in ("BRANCH_NAME", "GIT_BRANCH", "GIT_LOCAL_BRANCH", "BUILD_URL", "RUN_DISPLAY_URL"):
        monkeypatch.delenv(name, raising=False)
    return copied


def because(used: Released, **changes: Any) -> RetrainRequest:
    place = used.root / "monitor.json"
    place.write_text(to_json(judgement(**changes)))
    return RetrainRequest(model="digits", because=str(place))


def project_of(used: Released) -> Project:
    return find_project(used.project)


def decisions(used: Released) -> tuple[Decision, ...]:
    return known_decisions(used.git, "digits")[1]


def end(used: Released, kind: EventKind) -> None:
    """Let the newest decision end so."""
    note_event(used.git, decisions(used)[-1], new_event(used.git, kind, f"it {kind}"))


def test_a_plan_says_what_would_start_and_writes_nothing(used: Released) -> None:
    found = foresee_retraining(project_of(used), because(used))
    document = found.document
    assert document["start"] is True
    assert document["because"] == (
        "because psi of C was 0.31, more than 0.2, in the window of 2026-05-01 00:00:00 UTC to "
        "2026-05-02 00:00:00 UTC of logs/digits (120 rows)"
    )
    assert document["pipeline"] == "pipeline.yaml"
    # the release was made with -p, which the file does not say
    assert document["parameters"] == {"C": "1.0"}
    assert document["expected_seconds"] > 0
    assert document["expected_from_runs"] == 2
    assert decisions(used) == ()
    assert used.git("status", "--porcelain") == ""


def test_a_ci_reads_lines_and_starts_only_what_the_triggers_ask_for(
    used: Released, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = because(used)
    words = ["retrain", "digits", "--because", str(request.because), "--if-wanted"]
    assert run([*words, "--hand-over", "--ask", "--format", "jenkins"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    fields = dict(line.split("\t", 1) for line in lines)
    assert first == "nbci-retrain 1"
    assert fields["start"] == "ask"
    assert fields["decision"] == decisions(used)[-1].id
    assert fields["because"].startswith("because psi of C was 0.31, more than 0.2")
    assert fields["param"] == "C\t1.0"
    assert run([*words, "--refuse", "not now\tnor later", "--format", "jenkins"]) == 0
    assert "start\tno\nsentence\tnot now" in capsys.readouterr().out
    pipeline = used.project / "pipeline.yaml"
    text = pipeline.read_text()
    used.git("checkout", "-q", "--detach")
    monkeypatch.setenv("BRANCH_NAME", "trial")
    assert run([*words, "--hand-over", "--format", "jenkins"]) == 0
    assert "for the primary branch only, and this is trial" in capsys.readouterr().out
    pipeline.write_text(text.replace("triggers: {monitor", "triggers: {branches: [x], monitor"))
    assert run([*words, "--hand-over", "--format", "jenkins"]) == 0
    assert "are for x only, and this is trial" in capsys.readouterr().out
    pipeline.write_text(text)
    monkeypatch.setenv("BRANCH_IS_PRIMARY", "true")
    assert run([*words, "--plan", "--format", "jenkins"]) == 0
    assert "start\tyes" in capsys.readouterr().out
    pipeline.write_text(text.replace("triggers: {monitor", "# {monitor"))
    assert run([*words, "--hand-over", "--format", "jenkins"]) == 0
    unasked = capsys.readouterr().out
    assert "start\tno\nsentence\tpipeline.yaml does not ask for it" in unasked


def test_what_is_no_reason_starts_nothing(used: Released) -> None:
    project = project_of(used)
    passed = decide(project, because(used, result="passed", gates=(), sentence="all is as it was"))
    assert (passed.answer.start, passed.answer.sentence) == (
        False,
        "nothing to do: all is as it was",
    )
    old = decide(project, because(used, version="v0.9.0"))
    assert "judged against digits v0.9.0, and v1.0.0 has taken its place" in old.answer.sentence
    with pytest.raises(UsageError, match="a judgement of wine, not of digits"):
        decide(project, because(used, model="wine"))
    with pytest.raises(UsageError, match="format 9, this nbci reads 1"):
        decide(project, because(used, format=9))
    with pytest.raises(UsageError, match="no released model 'wine'"):
        decide(project, RetrainRequest(model="wine"))
    assert decisions(used) == ()


def test_of_two_clones_exactly_one_starts(used: Released) -> None:
    other = used.root / "other"
    subprocess.run(["git", "clone", "-q", used.origin, other], check=True)
    request = because(used)
    answers = [
        decide(project, request).answer for project in (project_of(used), find_project(other))
    ]
    assert [answer.start for answer in answers] == [True, False]
    assert "has no end yet" in answers[1].sentence
    assert [each.state for each in decisions(used)] == ["decided"]
    assert Git(other)("rev-parse", operands=["refs/nbci/decisions/digits"]) == used.git(
        "rev-parse", operands=["refs/nbci/decisions/digits"]
    )


def test_who_loses_the_race_looks_again(used: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have seen an empty chain before either has pushed."""
    other = used.root / "other"
    subprocess.run(["git", "clone", "-q", used.origin, other], check=True)
    request = because(used)
    place = "nbci.app.retraining.decide.add_decision"

    def add_after_the_other(*words: Any, **named: Any) -> str:
        monkeypatch.setattr(place, add_decision)
        assert decide(find_project(other), request).answer.start is True
        return add_decision(*words, **named)

    monkeypatch.setattr(place, add_after_the_other)
    assert decide(project_of(used), request).answer.start is False
    assert len(decisions(used)) == 1


def test_three_failures_in_a_row_are_the_last_until_a_person_resets(used: Released) -> None:
    project = project_of(used)
    insists = because(used)._replace(insists=True)
    for _ in range(3):
        assert decide(project, insists).answer.start is True
        end(used, "failed")
    for _ in range(2):
        gave_up = decide(project, because(used))
        assert gave_up.answer.gives_up
    # it was said once
    assert [each.state for each in decisions(used)] == ["failed"] * 3 + ["refused"]
    assert run(["retrain", "digits", "--because", str(used.root / "monitor.json")]) == 3

    reset(project, "digits")
    answer = decide(project, because(used)).answer
    assert "at most once" not in answer.sentence or answer.start is False
    assert not answer.gives_up


def test_a_person_is_asked_and_may_say_no(used: Released) -> None:
    project = project_of(used)
    asked = decide(project, because(used)._replace(asks=True))
    assert asked.document["start"] == "ask"
    assert [each.state for each in decisions(used)] == ["asked"]
    # the next window asks nobody again
    assert decide(project, because(used, id="M2")).answer.start == "ask"
    assert len(decisions(used)) == 1
    refuse_waiting(project, "digits", "the camera is being repaired")
    assert decisions(used)[-1].state == "refused"
    with pytest.raises(UsageError, match="waits for a person"):
        refuse_waiting(project, "digits", "again")

    decide(project, because(used)._replace(asks=True))
    yes = decide(project, because(used)._replace(insists=True, pairs=("C=3",)))
    assert yes.answer.start is True
    assert yes.document["parameters"] == {"C": "3"}
    assert decisions(used)[-1].params == ("C=1.0", "C=3")
    assert [each.state for each in decisions(used)] == ["refused", "decided"]


@pytest.mark.parametrize(
    ("typed", "code", "states"),
    [
        # the run itself is refused: it has begun
        (b"y\n", 2, ["asked", "decided", "started", "failed"]),
        (b"\n", 0, ["asked", "refused"]),
        # ctrl-D, or a terminal that is gone
        (b"\x04", 0, ["asked"]),
    ],
)
def test_a_person_at_a_terminal_is_asked_there(
    used: Released,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: bytes,
    code: int,
    states: list[EventKind],
) -> None:
    keyboard, terminal = pty.openpty()
    os.write(keyboard, typed)
    with open(terminal, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        words = ["retrain", "digits", "--because", str(because(used).because), "--ask"]
        assert run([*words, "-p", "C=much"]) == code
    os.close(keyboard)
    printed = capsys.readouterr()
    assert "because psi of C was 0.31" in printed.err
    assert "Train again? [y/N] " in printed.err
    assert ("does not start" in printed.out) == (states[-1] == "refused")
    assert [event.kind for event in decisions(used)[-1].events] == states


def test_a_remote_that_is_away_starts_nothing(used: Released) -> None:
    used.origin.rename(used.root / "moved")
    with pytest.raises(InfrastructureError):
        decide(project_of(used), because(used))


def test_without_origin_it_says_that_it_is_alone(used: Released) -> None:
    used.git("remote", "remove", "origin")
    decided = decide(project_of(used), because(used))
    assert decided.answer.start is True
    assert decided.document["shared"] is False


@pytest.mark.slow
def test_it_runs_is_promoted_and_closed(
    used: Released, capsys: pytest.CaptureFixture[str], stock: Callable[..., str]
) -> None:
    file = str(because(used).because)
    assert run(["retrain", "digits", "--because", file, "-p", "C=2", "--promote", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["outcome"], document["promotion"]["version"]) == ("promoted", "v1.0.1")
    sentence, name = document["because"], document["run"]

    # the run, the release and the history all say why
    for words in (["show", name], ["audit"], ["lineage", "digits"]):
        assert run(words) == 0
        assert f"{sentence} (decision {document['decision']})" in capsys.readouterr().out
    report = used.project / ".nbci/runs" / name / "report"
    assert sentence in (report / "index.html").read_text()
    assert "psi of C was 0.31" in (report / "summary.md").read_text().replace("\\", "")
    assert sentence in used.git("show", operands=["digits@v1.0.1:.nbci/release.md"])
    # stock tools meet nothing of it
    assert "v1.0.1" in stock("gto", "show", "digits", cwd=used.project)

    # the next window of the new version closes it
    result = judgement(version="v1.0.1", id="M2", result="passed", gates=(), sentence="quiet")
    project = project_of(used)
    assert close_by_window(project, replace(result, version="v1.0.0")) is None
    assert close_by_window(project, replace(result, window=Window(source="x", rows=0))) is None
    assert "is closed: v1.0.1 answers what v1.0.0 did not" in str(close_by_window(project, result))
    assert close_by_window(project, result) is None
    assert run(["decisions", "digits"]) == 0
    listed = capsys.readouterr().out
    events = [line.split(": ")[0].split("  ")[-1] for line in listed.splitlines()[2:]]
    assert events == ["decided", "started", "passed", "promoted", "closed"]
    assert ": 0.92 (" in listed

    used.origin.rename(used.root / "moved")
    assert "is not known: git ls-remote failed" in str(close_by_window(project, result))


@pytest.mark.slow
def test_what_is_no_better_changes_nothing_and_says_so(used: Released) -> None:
    file = str(because(used).because)
    assert run(["retrain", "digits", "--because", file, "--promote", "--quiet"]) == 3
    assert [each.state for each in decisions(used)] == ["no better"]
    last = decisions(used)[-1].last
    assert last is not None
    assert "accuracy at least 0.915: 0.91 (misses by 0.005)" in last.sentence
    assert used.tags() == {"digits@v1.0.0", "digits#production#1"}


def test_the_next_call_finds_out_what_was_killed(used: Released) -> None:
    project = project_of(used)
    decided = decide(project, because(used))
    assert decided.decision is not None
    killed = project.runs_folder / "20260101-000000-00000bad"
    shutil.copytree(project.runs_folder / used.runs[0], killed)
    record = json.loads((killed / "run.json").read_text())
    (killed / "run.json").write_text(
        json.dumps({**record, "run": killed.name, "result": "running"})
    )
    event = new_event(used.git, "started", "it began", run=killed.name)
    note_event(used.git, decided.decision, event)

    again = foresee_retraining(project, because(used))
    assert "at most once in" in again.answer.sentence
    assert decisions(used)[-1].state == "started"
    decide(project, because(used))
    assert [each.state for each in decisions(used)] == ["failed"]
    last = decisions(used)[-1].last
    assert last is not None
    assert "was killed" in last.sentence


def test_a_build_that_was_killed_ends_when_its_controller_knows_it(
    used: Released, jenkins: FakeJenkins, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = FakeBuild(number=1, item=1, mode="sleep")
    jenkins.jobs["team/train"].builds.append(build)
    project = project_of(used)
    decided = decide(project, because(used)).decision
    assert decided is not None
    monkeypatch.setenv("BUILD_URL", f"{jenkins.url}job/team/job/train/1/")
    note_event(used.git, decided, new_event(used.git, "started", "a build began"))
    build.stopped, build.told = True, 5
    # nobody knows the controller here
    running = decide(project, because(used)).answer
    assert "unless somebody says that it is over: nbci retrain digits --failed" in running.sentence
    assert jenkins.seen == []

    monkeypatch.setenv("NBCI_JENKINS_URL", jenkins.url)
    assert "at most once in" in decide(project, because(used)).answer.sentence
    last = decisions(used)[-1].last
    assert last is not None
    assert last.kind == "failed"
    assert last.sentence.startswith("build 1 ended as ABORTED, and has not said what came of it")


def test_a_build_that_goes_on_or_that_nobody_sees_counts_as_running(
    used: Released, jenkins: FakeJenkins, monkeypatch: pytest.MonkeyPatch
) -> None:
    jenkins.jobs["team/train"].builds.append(FakeBuild(number=1, item=1, mode="sleep"))
    monkeypatch.setenv("NBCI_JENKINS_URL", jenkins.url)
    project = project_of(used)
    decided = decide(project, because(used)).decision
    assert decided is not None
    # one that runs, one that is hidden or gone, one of another controller, one that is no address
    pages = (f"{jenkins.url}job/team/job/train/1/", f"{jenkins.url}job/x/9/", "http://a.b/job/c/1/")
    for page in (*pages, f"{jenkins.url}job/../job/team/job/train/1/"):
        event = new_event(used.git, "started", "a build began")
        note_event(used.git, decided, replace(event, build=page))
        assert "has no end yet" in decide(project, because(used)).answer.sentence
    assert run(["retrain", "digits", "--failed", "the agent is gone"]) == 0
    assert [each.state for each in decisions(used)] == ["failed"]
    assert run(["retrain", "digits", "--failed", "the agent is gone"]) == 2


@pytest.mark.slow
def test_what_fails_three_times_is_tried_no_more_and_told(
    used: Released, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = used.project / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("at_most_every: 1d", "at_most_every: 0.001s"))
    notebook = used.project / "nb/train.ipynb"
    notebook.write_text(notebook.read_text().replace("accuracy = 0.9", "accuracy = 1 / 0"))
    used.git("commit", "-qam", "a mistake")
    words = ["retrain", "digits", "--because", str(because(used).because), "--promote", "--quiet"]
    assert [run(words) for _ in range(3)] == [1, 1, 1]
    capsys.readouterr()
    # Jenkins makes its build unstable by that code, and says the sentence
    assert [run(words) for _ in range(2)] == [3, 3]
    told = capsys.readouterr().out
    assert "3 retrainings in a row came to nothing, so that no other is tried" in told
    assert "division by zero" in told
    assert "nbci retrain digits --reset" in told
    # it has begun three times, and giving up is written down once
    assert [each.state for each in decisions(used)] == ["failed"] * 3 + ["refused"]
    assert used.tags() == {"digits@v1.0.0", "digits#production#1"}


@pytest.mark.slow
def test_a_ci_starts_what_was_handed_over(
    used: Released, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(because(used).because)
    words = ["retrain", "digits", "--because", file, "-p", "C=2", "--hand-over", "--json"]
    monkeypatch.setenv("BUILD_URL", "https://ci.example.com/job/watch/1/")
    assert run(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["start"] is True
    # Its agent may vanish before the build has read the answer: then another one asks again.
    assert run(words) == 0
    again = json.loads(capsys.readouterr().out)
    sentence = f"decision {document['decision']} was made in this build, and has started nothing"
    assert again == {**document, "sentence": sentence}
    monkeypatch.setenv("NBCI_DECISION", document["decision"])
    monkeypatch.setenv("BUILD_URL", "https://ci.example.com/job/1/")
    plan = ["plan", document["pipeline"], "-p", f"C={document['parameters']['C']}"]
    assert run([*plan, "--json"]) == 0
    assert decisions(used)[-1].state == "decided"
    assert run([*plan, "--out", "plan.json"]) == 0
    assert decisions(used)[-1].state == "started"
    for step in ("prepare", "train/svm"):
        assert run(["step", "--plan", "plan.json", step, "--store", "store"]) == 0
    capsys.readouterr()
    assert run(["finish", "--plan", "plan.json", "--store", "store", "--promote"]) == 0
    assert "because psi of C was 0.31" in capsys.readouterr().out
    states = [event.kind for event in decisions(used)[-1].events]
    assert states == ["decided", "decided", "started", "passed", "promoted"]
    assert decisions(used)[-1].events[2].build == "https://ci.example.com/job/1/"
    assert run([*plan, "--out", "plan.json"]) == 2
    assert "has come to its end: promoted" in capsys.readouterr().err


def test_a_decision_that_is_unknown_or_of_another_pipeline(
    used: Released, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "pipeline.yaml", "--decision", "20260101-000000-0000bad"]) == 2
    assert "there is no decision 20260101-000000-0000bad on digits" in capsys.readouterr().err
    decided = decide(project_of(used), because(used)).decision
    assert decided is not None
    (used.project / "other.yaml").write_text((used.project / "pipeline.yaml").read_text())
    assert run(["plan", "other.yaml", "--decision", decided.id, "--json"]) == 0
    assert "because" not in json.loads(capsys.readouterr().out)


def test_what_a_decision_names_is_checked(used: Released) -> None:
    decided = decide(project_of(used), because(used)).decision
    assert decided is not None
    for path in ("../out.dvc", "/etc/x.dvc", "a/.git/x.dvc", "data/rows.json"):
        data = NewData(imports={path: "outs: []\n"}, files={}, sentence="data")
        with pytest.raises(IntegrityError):
            checked_imports(project_of(used), replace(decided, data=data))


def test_what_stdin_gives_is_read_once(used: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the limits have to be looked at anew, since another decision came first."""
    text = to_json(judgement()).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    place = "nbci.app.retraining.decide.add_decision"
    lost: list[object] = []

    def lose_once(*words: Any, **named: Any) -> str:
        if not lost:
            lost.append(words)
            raise LostTurn("another decision was pushed to origin first")
        return add_decision(*words, **named)

    monkeypatch.setattr(place, lose_once)
    request = RetrainRequest(model="digits", because="-")
    assert decide(project_of(used), request).answer.start is True
    assert len(decisions(used)) == 1


def test_what_stops_it_early_is_noted(used: Released, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that is refused has no run that the next call could look at."""
    file = str(because(used).because)
    assert run(["retrain", "digits", "--because", file, "-p", "C=much"]) == 2
    capsys.readouterr()
    assert [each.state for each in decisions(used)] == ["failed"]
    last = decisions(used)[-1].last
    assert last is not None
    assert "C" in last.sentence
    assert decide(project_of(used), because(used)._replace(insists=True)).answer.start is True
