"""Builds of changes from forks.

The code is the change's; all else is of the branch that it goes to.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from nbci.config import find_project
from nbci.engine.prepare import plan_target
from nbci.errors import UsageError
from nbci.gates.baseline import Baseline, NoBaseline
from nbci.gates.baselines import Search, find_baseline
from nbci.git.process import Git
from nbci.project.sources import read_target
from nbci.records.codec import to_json
from nbci.trust.target_branch import project_for
from tests.support.console import Console

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.plan.model import Plan

_NOTEBOOK = """\
# %% tags=["step:train"]
import os, json
score = 0.5
open("seen.json", "w").write(json.dumps(sorted(os.environ)))
# %% tags=["pipeline-metrics"]
print(score)
"""
_PIPELINE = """\
pipeline: scores
params: {where: here}
steps:
  train: {notebook: train.py, cwd: project, outs: [seen.json], secrets: [TOKEN]}
metrics: {score: {direction: up}}
gates:
  - {metric: score, at_least: 0.9, when: "where == 'here'"}
models: {scores: {path: seen.json, stage: production, branches: [main]}}
"""
_SETTINGS = '[tool.nbci]\nsecrets = ["DEPLOY_KEY"]\nstore.remote = "STORE"\n'
_FORK = {
    "CHANGE_ID": "12",
    "CHANGE_FORK": "stranger",
    "CHANGE_TARGET": "main",
    "BRANCH_NAME": "PR-12",
}
_SECRETS = {
    "TOKEN": "t0ken-of-main",
    "DEPLOY_KEY": "d3ploy-of-main",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENG",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A checkout of a pull request, as Jenkins makes it, and the store that all builds share."""

    root: Path
    store: Path
    git: Git

    def nbci(self, *words: str, **more: str) -> Any:
        return Console(self.root)(*words, env=_FORK | _SECRETS | more)

    def write(self, **files: str) -> None:
        """A commit of the change's."""
        for name, text in files.items():
            (self.root / name.replace("__", ".")).write_text(text)
        self.git("add", "-A", "-f")
        self.git("commit", "-qm", "a change")

    def plan(self, name: str = "pipe.yaml", **more: str) -> Plan:
        found = plan_target(read_target(str(self.root / name)), environ=_FORK | more)
        (self.root / "plan.json").write_text(to_json(found))
        return found

    def in_store(self) -> set[str]:
        return {
            path.relative_to(self.store).as_posix()
            for path in self.store.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def change(tmp_path: Path) -> Change:
    origin, root, store = tmp_path / "origin.git", tmp_path / "checkout", tmp_path / "store"
    for folder in (origin, root, store):
        folder.mkdir()
    Git(origin)("init", "-q", "--bare", "-b", "main")
    git = Git(root)
    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", str(origin))
    made = Change(root=root, store=store, git=git)
    ignored = "/.nbci\n/plan.json\n/left\n/out\n/seen.json\n"
    made.write(
        train__py=_NOTEBOOK,
        pipe__yaml=_PIPELINE,
        pyproject__toml=_SETTINGS.replace("STORE", str(store)),
        __gitignore=ignored,
    )
    git("push", "-q", "origin", "main")
    git("checkout", "-q", "--detach")
    return made


def test_gates_models_branches_and_settings_are_those_of_the_branch(
    change: Change, tmp_path: Path
) -> None:
    poisoned = _PIPELINE.replace("at_least: 0.9", "at_least: 0.1").replace("[main]", '["*"]')
    poisoned = poisoned.replace("secrets: [TOKEN]", "secrets: [TOKEN, DEPLOY_KEY]")
    poisoned = poisoned.replace("where: here", "where: elsewhere")
    change.write(
        pipe__yaml=f"{poisoned}forks: {{secrets: [TOKEN]}}\ntriggers: {{cron: '* * * * *'}}\n",
        pyproject__toml=f'[tool.nbci]\nstore.remote = "{tmp_path / "theirs"}"\n',
    )
    plan = change.plan()
    assert plan.gates[0].at_least == 0.9
    assert plan.models == {
        "scores": {"path": "seen.json", "stage": "production", "branches": ["main"]}
    }
    assert plan.params[0].value == "here"
    assert plan.triggers is None
    assert (plan.steps[0].secrets, plan.steps[0].withheld) == ((), ("TOKEN", "DEPLOY_KEY"))
    assert plan.fork is not None
    assert plan.fork.prefix == "pr/12"
    step = change.nbci("step", "--plan", "plan.json")
    assert step.returncode == 1, step.stdout
    assert "asks for the secret TOKEN, which builds of forks do not get" in step.stdout
    assert not (change.root / "seen.json").exists()
    assert not (tmp_path / "theirs").exists()


def test_such_a_build_sees_no_secret_promotes_nothing_and_keeps_things_apart(
    change: Change,
) -> None:
    without = _PIPELINE.replace(
        ", secrets: [TOKEN]", ""
    )  # and yet it looks for it in the environment
    change.write(train__py=_NOTEBOOK.replace("0.5", "0.7"), pipe__yaml=without)
    change.plan()
    step = change.nbci("step", "--plan", "plan.json")
    assert step.returncode == 0, step.stdout + step.stderr
    seen = json.loads((change.root / "seen.json").read_text())
    assert not set(_SECRETS) & set(seen)
    assert change.in_store()
    assert all(name.startswith("pr/12/") for name in change.in_store())
    refused = change.nbci("finish", "--plan", "plan.json", "--promote", "--out", "out")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    change.write(train__py=_NOTEBOOK.replace("0.5", "0.95"))
    change.plan()
    assert change.nbci("step", "--plan", "plan.json").returncode == 0
    passed = change.nbci("finish", "--plan", "plan.json", "--promote")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "not promoted: run" in passed.stdout
    assert change.git("ls-remote", "--tags", "origin") == ""
    page = next((change.root / ".nbci/runs").glob("*/report/index.html"))
    assert "a change from a fork" in page.read_text()


def test_what_the_branch_allows_is_shown(change: Change) -> None:
    change.git("checkout", "-q", "main")
    change.write(pipe__yaml=f"{_PIPELINE}forks: {{secrets: [TOKEN]}}\n")
    change.git("push", "-q", "origin", "main")
    change.write(train__py=_NOTEBOOK + 'assert os.environ["TOKEN"]\n')
    change.plan()
    step = change.nbci("step", "--plan", "plan.json")
    assert step.returncode == 0, step.stdout
    assert "TOKEN" in json.loads((change.root / "seen.json").read_text())


def test_a_trusted_build_takes_no_result_of_a_fork(change: Change) -> None:
    """The step is the same, so it has the same key.

    What the fork left for it is altered on its way.
    """
    local = {"NBCI_CACHE": str(change.root.parent / "cache of the agent")}
    change.git("checkout", "-q", "main")
    change.write(pipe__yaml=_PIPELINE.replace(", secrets: [TOKEN]", ""))
    change.git("push", "-q", "origin", "main")
    done = change.nbci("run", "pipe.yaml", "--quiet", **local)
    assert done.returncode == 3, done.stderr
    cache = change.root.parent / "cache of the agent"
    kept = {
        path.relative_to(cache).parts[:2]
        for path in cache.rglob("*.json")
        if "results" in path.parts
    }
    assert kept == {("pr", "12")}
    for place in (change.store, cache):
        for record in place.rglob("results/*/*/*.json"):
            record.write_text(record.read_text().replace('"value":0.5', '"value":0.99'))
    (change.root / "seen.json").unlink()
    trusted = Console(change.root)(
        "run", "pipe.yaml", "--json", env={**local, "BRANCH_NAME": "main"}
    )
    shown = json.loads(trusted.stdout)
    assert [step["result"] for step in shown["steps"]] == ["passed"]
    assert '"value": 0.99' not in trusted.stdout
    again = change.nbci("run", "pipe.yaml", "--json", **local)
    assert [step["result"] for step in json.loads(again.stdout)["steps"]] == ["reused"]
    elsewhere = {"NBCI_CACHE": str(change.root.parent / "another agent"), "CHANGE_ID": "13"}
    other = change.nbci("run", "pipe.yaml", "--json", **elsewhere)
    assert [step["result"] for step in json.loads(other.stdout)["steps"]] == ["reused"], (
        "what is trusted may be read"
    )


def test_a_plan_and_its_build_are_of_one_kind(change: Change) -> None:
    project = find_project(change.root)
    trusted = plan_target(read_target(str(change.root / "pipe.yaml")), environ={})
    assert project_for(project, trusted, {}) == project
    with pytest.raises(UsageError, match="this is a build of pr/12, and the plan is not"):
        project_for(project, trusted, _FORK)
    untrusted = change.plan()
    assert project_for(project, untrusted, {}).prefix == "pr/12"
    with pytest.raises(UsageError, match="this is a build of pr/13, and the plan is not"):
        project_for(project, untrusted, _FORK | {"CHANGE_ID": "13"})


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CHANGE_TARGET": ""}, "where does pr/12 go to?"),
        ({"CHANGE_TARGET": "nowhere"}, "nowhere, where pr/12 goes to, is not in this clone"),
        ({"CHANGE_TARGET": "--upload-pack=touch x"}, "is not in this clone"),
        ({"CHANGE_ID": "../.."}, "keeps what it makes under its change's number"),
        ({"NBCI_UNTRUSTED": "results/00"}, "keeps what it makes under its change's number"),
    ],
)
def test_what_the_environment_does_not_say(change: Change, env: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        change.plan(**env)
    assert said in str(raised.value)
    assert not os.path.exists(change.root / "x")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"pipe__yaml": _PIPELINE.replace("outs:", "agent: deploy, outs:")},
            "asks for the agent 'deploy'",
        ),
        (
            {"train__py": _NOTEBOOK.replace('rain"]', 'rain", "agent:deploy"]')},
            "asks for the agent 'deploy'",
        ),
        (
            {"pipe__yaml": _PIPELINE.replace("outs:", "container: theirs, outs:")},
            "asks for the container 'theirs'",
        ),
        ({"new__yaml": _PIPELINE}, "has no pipeline to take the rules from"),
        (
            {"__dvc/config": "[core]\n    remote = evil\n"},
            "the change has another configuration of DVC than main",
        ),
        (
            {"__dvc/config__local": "[core]\n    remote = evil\n"},
            "another configuration of DVC than main",
        ),
    ],
)
def test_what_a_change_cannot_ask_for(change: Change, files: dict[str, str], said: str) -> None:
    (change.root / ".dvc").mkdir()
    change.write(**files)
    with pytest.raises(UsageError) as raised:
        change.plan("new.yaml" if "new__yaml" in files else "pipe.yaml")
    assert said in str(raised.value)


def test_no_link_leads_to_weaker_rules(change: Change) -> None:
    change.git("checkout", "-q", "main")
    change.write(weak__yaml=_PIPELINE.partition("gates:")[0])
    change.git("push", "-q", "origin", "main")
    (change.root / "pipe.yaml").unlink()
    (change.root / "pipe.yaml").symlink_to("weak.yaml")
    with pytest.raises(UsageError, match="has a link in the place of its pipeline"):
        change.plan()


def test_a_pipeline_that_the_change_took_away_and_wrote_anew(change: Change) -> None:
    """As by a Makefile of its own, which the job runs before it plans."""
    change.git("rm", "-q", "pipe.yaml")
    change.git("commit", "-qm", "gone")
    (change.root / "pipe.yaml").write_text(_PIPELINE.partition("gates:")[0])
    assert [gate.at_least for gate in change.plan().gates] == [0.9]


@pytest.mark.parametrize(
    ("ours", "theirs"), [("[a]\n", "[tool.nbci]\n"), ("[tool.nbci]\n", "[a]\n")]
)
def test_the_settings_of_another_folder_do_not_count(
    change: Change, ours: str, theirs: str
) -> None:
    (change.root / "deep").mkdir()
    change.git("checkout", "-q", "main")
    change.write(
        **{"deep/pipe__yaml": _PIPELINE, "deep/train__py": _NOTEBOOK, "deep/pyproject__toml": ours}
    )
    change.git("push", "-q", "origin", "main")
    change.write(**{"deep/pyproject__toml": theirs})
    with pytest.raises(UsageError, match="is part of the project in "):
        change.plan("deep/pipe.yaml")


def test_what_the_job_itself_made_runs_without_secrets(change: Change) -> None:
    """As `nbciStep(code: ...)` does it: the code stands in the Jenkinsfile."""
    (change.root / "made.py").write_text('# %% tags=["step:a", "secret:TOKEN"]\n1\n')
    (step,) = change.plan("made.py").steps
    assert (step.secrets, step.withheld) == ((), ("TOKEN",))


def test_a_clone_without_the_branch_fetches_it(change: Change, tmp_path: Path) -> None:
    change.write(train__py=_NOTEBOOK.replace("0.5", "0.7"))
    change.git("push", "-q", "origin", "HEAD:refs/heads/theirs")
    origin = (tmp_path / "origin.git").as_uri()
    Git(tmp_path)(
        "clone", "-q", "--depth=1", "--single-branch", "--branch", "theirs", origin, "shallow"
    )
    plan = plan_target(read_target(str(tmp_path / "shallow/pipe.yaml")), environ=_FORK)
    assert plan.fork is not None
    assert plan.fork.commit == Git(tmp_path / "origin.git")("rev-parse", "main")


def test_a_baseline_in_a_file_is_that_of_the_branch(change: Change) -> None:
    """What lies beside the fork's code is nothing to compare with."""
    change.git("checkout", "-q", "main")
    gates = "".join(
        f"  - {{metric: score, baseline: {name}, max_drop: 0.1}}\n"
        for name in ("file:base.json", "run:latest")
    )
    change.write(pipe__yaml=f"{_PIPELINE.partition('  - ')[0]}{gates}", base__json='{"score": 0.8}')
    change.git("push", "-q", "origin", "main")
    change.write(base__json='{"score": 0.1}')
    search = Search(project=find_project(change.root), plan=change.plan(), run="r", environ=_FORK)
    file, run = (find_baseline(str(gate.baseline), search).baseline for gate in search.plan.gates)
    assert isinstance(file, Baseline)
    assert file.metrics == {"score": 0.8}
    assert isinstance(run, NoBaseline)
    assert not run.certain
