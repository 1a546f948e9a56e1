"""Releases as git, DVC and GTO themselves see them; what is refused; two at once; killed at every
step.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.app.promote_run import promote_run
from nbci.config import find_project
from nbci.data.repository import project_cache
from nbci.errors import InfrastructureError, IntegrityError, NbciError, UsageError
from nbci.git.process import Git
from nbci.promotion.checks import Refused
from nbci.promotion.promote import Promotion, Request
from nbci.promotion.publish import LostRace
from nbci.promotion.stage_changes import Move, demote, rollback
from nbci.registry.queries import history
from nbci.registry.read import find_model, read_manifest, read_models
from nbci.runs.project_runs import find_run
from tests.support.console import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.releases import Released

MODEL = "models/digits model.bin"


def promoted(
    released: Released,
    run: str | None = None,
    environ: Mapping[str, str] | None = None,
    **asked: object,
) -> Promotion:
    """Promote, in this process."""
    project = find_project(released.project)
    request = Request(**asked)  # type: ignore[arg-type]  # each test names what it asks for
    return promote_run(
        project,
        find_run(project, run or released.runs[1]),
        request,
        {**os.environ, **(environ or {})},
    )


def same_again(released: Released) -> str:
    """A new run with nothing to do."""
    done = released.nbci("run", "pipeline.yaml", "-p", "C=2", "--quiet")
    assert done.returncode == 0, done.stderr
    return max(os.listdir(released.project / ".nbci/runs"))


def in_production(folder: Path) -> str | None:
    """What nbci says is in production, which must be what GTO says."""
    from gto.constants import VersionSort
    from gto.registry import GitRegistry

    stages = find_model(read_models(Git(folder)), "digits").stages
    found = stages["production"].current.version if "production" in stages else None
    with GitRegistry.from_url(str(folder)) as registry:
        artifact = registry.get_state().find_artifact("digits")
    for order in VersionSort:
        assigned = artifact.get_vstages(versions_per_stage=1, sort=order).get("production")
        assert (assigned[0].version if assigned else None) == found
    return found


def test_stock_tools_understand_a_release(
    released: Released, stock: Callable[..., str], tmp_path: Path
) -> None:
    head = released.git("rev-parse", "HEAD")
    done = released.nbci(
        "promote", "latest", "--json", env={"BUILD_URL": "https://ci.example.com/job/digits/7/"}
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["version"], shown["tags"]) == ("v1.0.0", ["digits@v1.0.0", "digits#production#1"])
    assert (
        released.tags()
        == released.tags(released.project)
        == {"digits@v1.0.0", "digits#production#1"}
    )

    promoted_bytes = (released.project / MODEL).read_bytes()
    stock(
        "dvc",
        "get",
        released.origin,
        MODEL,
        "--rev",
        "digits@v1.0.0",
        "-o",
        tmp_path / "got",
        cwd=tmp_path,
    )
    staged = tmp_path / "staged"
    of_stage = ("digits", "--stage", "production")
    stock("dvc", "artifacts", "get", released.origin, *of_stage, "-o", staged, cwd=tmp_path)
    assert (tmp_path / "got").read_bytes() == staged.read_bytes() == promoted_bytes
    shown_by_gto = json.loads(stock("gto", "show", "digits", "--json", cwd=released.project))
    assert [(row["version"], row["stages"][0]["stage"]) for row in shown_by_gto] == [
        ("v1.0.0", "production")
    ]
    events = [
        row["event"]
        for row in json.loads(stock("gto", "history", "digits", "--json", cwd=released.project))
    ]
    assert sorted(events) == ["assignment", "registration"]

    for repository in (released.project, released.origin):
        checked = subprocess.run(
            ["git", "-C", repository, "fsck", "--strict"], capture_output=True, check=True
        )
        assert checked.stderr == b""
    assert (
        released.git("rev-parse", f"{shown['commit']}^")
        == released.git("rev-parse", "HEAD")
        == head
    )
    assert released.git("branch", "--all", "--contains", shown["commit"]) == ""
    assert released.git("status", "--porcelain") == ""
    changed = released.git("diff", "--name-status", f"{shown['commit']}^", shown["commit"]).split()
    assert changed == [
        "A",
        ".nbci/release.json",
        "A",
        ".nbci/release.md",
        "A",
        "dvc.lock",
        "A",
        "dvc.yaml",
    ]

    manifest = read_manifest(released.git, shown["commit"])
    assert manifest is not None
    assert (manifest.run, manifest.branch, manifest.commit) == (released.runs[1], "main", head)
    assert (manifest.by.name, manifest.build_url) == (
        "A Tester",
        "https://ci.example.com/job/digits/7/",
    )
    assert manifest.metrics == {"train/svm:accuracy": 0.92}
    assert {step.name: step.run for step in manifest.steps} == {
        "prepare": released.runs[0],
        "train/svm": released.runs[1],
    }


def test_versions_go_up_back_and_out(released: Released) -> None:
    first = promoted(released)
    record = find_run(find_project(released.project), first.run).read()
    assert promoted(released) == Promotion(
        model="digits",
        version="v1.0.0",
        stage="production",
        run=first.run,
        tags=first.tags,
        commit=first.commit,
        files=record.steps[1].outs[:1],
        pushed=True,
        done=True,
    )
    second = promoted(released, same_again(released), part="minor")
    assert (second.version, second.before, in_production(released.project)) == (
        "v1.1.0",
        "v1.0.0",
        "v1.1.0",
    )
    with pytest.raises(UsageError, match=r"v1\.1\.0 is there already, of another run"):
        promoted(released, same_again(released), version="1.1.0")
    third = promoted(released, same_again(released), version="2.0.0-rc.1")
    assert (third.version, in_production(released.project)) == ("v2.0.0-rc.1", "v2.0.0-rc.1")

    gone = rollback(released.project, Move(model="digits", reason="it drifts"), {})
    assert (gone.before, gone.now, in_production(released.project)) == (
        "v2.0.0-rc.1",
        "v1.1.0",
        "v1.1.0",
    )
    assert gone.tags == ("digits#production!#4", "digits#production#5")
    assert "it drifts" in released.git("tag", "-l", "--format=%(contents)", "digits#production#5")
    assert rollback(released.project, Move(model="digits"), {}).now == "v1.0.0"
    with pytest.raises(
        UsageError, match="no other version of digits was in stage production before"
    ):
        rollback(released.project, Move(model="digits"), {})
    assert (
        rollback(released.project, Move(model="digits"), {}, to="2.0.0-rc.1").now == "v2.0.0-rc.1"
    )
    with pytest.raises(UsageError, match="already"):
        rollback(released.project, Move(model="digits"), {}, to="2.0.0-rc.1")
    assert in_production(released.project) == "v2.0.0-rc.1"
    dry = demote(released.project, Move(model="digits", dry_run=True), {})
    assert dry.tags
    assert not set(dry.tags) & released.tags()
    demote(released.project, Move(model="digits"), {})
    assert in_production(released.project) is None
    with pytest.raises(UsageError, match="nothing of digits is in stage production"):
        demote(released.project, Move(model="digits"), {})
    assert (
        promoted(released).done is False
    )  # the run of v1.0.0 again: into the stage, not as another version
    assert in_production(released.project) == "v1.0.0"
    assert released.tags() == released.tags(released.project)
    with pytest.raises(UsageError, match="there is no released model 'digit'"):
        demote(released.project, Move(model="digit"), {})


def test_a_dry_run_and_a_release_that_stays_here(released: Released) -> None:
    dry = promoted(released, dry_run=True)
    assert (dry.version, dry.commit, released.tags(), released.tags(released.project)) == (
        "v1.0.0",
        None,
        set(),
        set(),
    )
    assert list(released.remote.iterdir()) == []
    kept = promoted(released, push=False)
    assert (released.tags(), released.tags(released.project)) == (set(), set(kept.tags))
    assert promoted(released).done
    assert released.tags() == set(kept.tags)
    demote(released.project, Move(model="digits"), {})
    with pytest.raises(
        UsageError, match="no other version of digits was in stage production before"
    ) as empty:
        rollback(released.project, Move(model="digits"), {})
    assert (
        empty.value.hint
        == "it is empty: nbci rollback digits --to v1.0.0 puts that version into it"
    )


def forget_identity(released: Released) -> None:
    (Path(os.environ["HOME"]) / "nobody").write_text("[user]\nuseConfigOnly = true\n")
    os.environ["GIT_CONFIG_GLOBAL"] = str(Path(os.environ["HOME"]) / "nobody")


def change(path: str, text: str) -> Callable[[Released], None]:
    def write(released: Released) -> None:
        place = released.root / path
        place.write_text(
            text if not path.endswith(".json") else place.read_text().replace("0.92", text)
        )

    return write


def forge(released: Released) -> None:
    """Other content in the workspace, and in the object that the run kept."""
    (kept,) = find_run(find_project(released.project), released.runs[1]).read().steps[1].outs[:1]
    for place in (
        released.project / MODEL,
        project_cache(find_project(released.project), os.environ).artifacts.objects.path(
            kept.digest
        ),
    ):
        place.chmod(0o644)
        place.write_text("forged")


def refusing_hook(released: Released) -> None:
    hook = released.origin / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho tags are protected here\nexit 1\n")
    hook.chmod(0o755)


def no_remote(released: Released) -> None:
    shutil.rmtree(released.remote)
    released.remote.write_text("a file, not a folder")


def detached(released: Released) -> None:
    """The run as CI would have recorded it, sealed."""
    folder = find_run(find_project(released.project), released.runs[1])
    record = folder.read()
    assert record.git is not None
    folder.write_run(replace(record, git=replace(record.git, branch=None)))


def built_dirty(released: Released) -> None:
    folder = find_run(find_project(released.project), released.runs[1])
    record = folder.read()
    assert record.git is not None
    folder.write_run(replace(record, git=replace(record.git, dirty=True)))


def other_tag(released: Released) -> None:
    released.git("tag", "-a", "-m", "mine", "digits@v1.0.0")
    released.git("push", "-q", "origin", "digits@v1.0.0")
    released.git("tag", "-d", "digits@v1.0.0")
    released.git("tag", "-a", "-m", "another", "digits@v1.0.0")


_RECORD = ".nbci/runs/{run}/steps/train/svm/record.json"
_CASES: list[tuple[str, Callable[[Released], object], dict[str, str], type[NbciError], str]] = [
    (
        "tree",
        change("project/pipeline.yaml", "pipeline: other"),
        {},
        UsageError,
        "tree is dirty: pipeline.yaml",
    ),
    ("built dirty", built_dirty, {}, UsageError, "was of a dirty tree"),
    ("model", forge, {}, IntegrityError, "is not here any more, or was altered"),
    ("no branch", detached, {}, UsageError, "no branch is checked out"),
    (
        "branch",
        detached,
        {"GIT_BRANCH": "origin/feature"},
        UsageError,
        "only, and this is feature",
    ),
    (
        "change",
        detached,
        {"CHANGE_ID": "5", "CHANGE_TARGET": "main"},
        UsageError,
        "this is the build of change 5",
    ),
    ("identity", forget_identity, {}, UsageError, "git does not know your name and email"),
    (
        "no origin",
        lambda r: r.git("remote", "remove", "origin"),
        {},
        UsageError,
        "no remote origin",
    ),
    ("origin gone", lambda r: shutil.rmtree(r.origin), {}, InfrastructureError, "git fetch failed"),
    ("hook", refusing_hook, {}, UsageError, "refuses the tags: tags are protected here"),
    ("storage", no_remote, {}, InfrastructureError, "could not be brought to the DVC remote"),
    (
        "tag",
        other_tag,
        {},
        IntegrityError,
        r"the tag digits@v1\.0\.0 here is another than on origin",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "environ", "kind", "message"),
    [case[1:] for case in _CASES],
    ids=[case[0] for case in _CASES],
)
def test_what_is_refused_leaves_nothing(
    released: Released,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Released], object],
    environ: dict[str, str],
    kind: type[NbciError],
    message: str,
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.environ["GIT_CONFIG_GLOBAL"])
    spoil(released)
    before = released.tags(released.project)
    with pytest.raises(kind, match=message) as raised:
        promoted(released, environ=environ)
    assert type(raised.value).exit_code == kind.exit_code
    assert raised.value.hint
    assert released.tags(released.project) == before


def test_an_altered_record_is_no_evidence(released: Released) -> None:
    record = released.project / _RECORD.format(run=released.runs[1])
    record.write_text(record.read_text().replace("0.92", "0.99"))
    with pytest.raises(IntegrityError, match=r"record was changed after the run"):
        promoted(released)


@pytest.mark.parametrize("environ", [{"GIT_BRANCH": "origin/release/1.x"}, {"BRANCH_NAME": "main"}])
def test_ci_says_which_branch_it_built(released: Released, environ: dict[str, str]) -> None:
    detached(released)
    made = promoted(released, environ=environ, dry_run=True)
    assert made.version == "v1.0.0"


def test_who_comes_second_is_told_who_won(released: Released, tmp_path: Path) -> None:
    """The other promotion happens while the first one pushes: in git's own hook."""
    other = tmp_path / "other"
    shutil.copytree(released.project, other, symlinks=True)
    Git(other)("config", "user.name", "Quick Colleague")
    (other / ".nbci/runs" / released.runs[1]).rename(other / ".nbci/runs/20990101-000000-000aaaa")
    run = find_run(find_project(other), "20990101-000000-000aaaa")
    run.write_run(replace(run.read(), run=run.run))
    hook = released.project / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!/bin/sh\nunset GIT_DIR\ncd '{other}'\n"
        f"PYTHONPATH='{ROOT}' exec '{sys.executable}' -P -m nbci promote {run.run}\n"
    )
    hook.chmod(0o755)
    with pytest.raises(
        InfrastructureError, match=r"another promotion was there first.*Quick Colleague set"
    ) as lost:
        promoted(released)
    assert "for run 20990101-000000-000aaaa" in lost.value.message
    hook.unlink()
    assert released.tags() == {"digits@v1.0.0", "digits#production#1"}
    assert promoted(released).version == "v1.0.1"


def test_a_tag_that_appears_while_the_server_takes_the_push_is_a_lost_race(
    released: Released,
) -> None:
    """After git compared what it knew with what is there, before it locks: in the server's own
    hook.
    """
    git = Git(released.origin)
    git("config", "user.name", "Quick Colleague")
    git("tag", "-am", "Release\n\nNbci-Run: theirs", "waiting", "main")
    theirs = git("rev-parse", "waiting")
    hook = released.origin / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nunset GIT_QUARANTINE_PATH\n"
        f"exec git update-ref 'refs/tags/digits@v1.0.0' {theirs}\n"
    )
    hook.chmod(0o755)
    with pytest.raises(LostRace, match=r"Quick Colleague set digits@v1\.0\.0 for run theirs"):
        promoted(released)
    assert (released.tags(), git("rev-parse", "digits@v1.0.0")) == (
        {"waiting", "digits@v1.0.0"},
        theirs,
    )


_KILLER = """\
#!/bin/sh
# git, but it kills the program that called it before or after one of its commands
case "$KILL" in "before $3") kill -9 $PPID; exit 1;; esac
'{git}' "$@"; code=$?
case "$KILL" in "after $3") kill -9 $PPID;; esac
exit $code
"""


def killed(released: Released, folder: Path, point: str, *words: str) -> None:
    done = released.nbci(
        "promote", *words, env={"PATH": f"{folder}:{os.environ['PATH']}", "KILL": point}
    )
    assert done.returncode == -9, f"{point}: {done.stderr}"


def test_killed_anywhere_it_leaves_all_or_nothing(released: Released, tmp_path: Path) -> None:
    killer = tmp_path / "bin/git"
    killer.parent.mkdir()
    killer.write_text(_KILLER.format(git=shutil.which("git")))
    killer.chmod(0o755)
    both = {"digits@v1.0.0", "digits#production#1"}
    for point in (
        "before fetch",
        "before hash-object",
        "after write-tree",
        "after commit-tree",
        "after mktag",
        "before push",
    ):
        killed(released, killer.parent, point, "latest")
        assert (released.tags(), released.tags(released.project)) == (set(), set()), point
    killed(released, killer.parent, "after push", "latest")
    assert (released.tags(), released.tags(released.project)) == (both, set())
    done = promoted(released)
    assert (done.done, released.tags(released.project)) == (True, both)
    run = same_again(released)
    killed(released, killer.parent, "before update-ref", run, "--no-push")
    assert released.tags(released.project) == both
    killed(released, killer.parent, "after update-ref", run, "--no-push")
    assert promoted(released, run).tags == ("digits@v1.0.1", "digits#production#2")
    assert released.tags() == released.tags(released.project)
    assert released.git("fsck", "--strict", "--no-dangling") == ""


def test_a_shallow_detached_clone_promotes(released: Released, tmp_path: Path) -> None:
    promoted(released)
    run = same_again(released)
    clone = tmp_path / "ci"
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", "--no-tags", released.origin.as_uri(), clone],
        check=True,
    )
    git = Git(clone)
    git("checkout", "-q", "--detach")
    for name in (".nbci", "models", "data", "metrics.json"):
        place = released.project / name
        (shutil.copytree if place.is_dir() else shutil.copyfile)(place, clone / name)
    project = find_project(clone)
    made = promote_run(
        project, find_run(project, run), Request(), {**os.environ, "BRANCH_NAME": "main"}
    )
    assert (made.version, made.before) == ("v1.0.1", "v1.0.0")
    assert {"digits@v1.0.1", "digits#production#2"} <= released.tags()
    subprocess.run(
        ["git", "-C", released.origin, "fsck", "--strict"], check=True, capture_output=True
    )


def other_file(released: Released) -> None:
    (released.project / "base.json").write_text('{"accuracy": 0.7}')


def other_commit(released: Released) -> None:
    (released.project / "metrics.json").write_text('{"accuracy": 0.7}')
    released.git("commit", "-qam", "other metrics")


def one_run_less(released: Released) -> None:
    shutil.rmtree(released.project / ".nbci/runs" / released.runs[1])


@pytest.mark.parametrize(
    ("baseline", "move_on"),
    [("file:base.json", other_file), ("rev:main", other_commit), ("run:latest", one_run_less)],
)
def test_a_verdict_ends_when_its_baseline_moves_on(
    released: Released, baseline: str, move_on: Callable[[Released], None]
) -> None:
    pipeline = released.project / "pipeline.yaml"
    pipeline.write_text(
        f"{pipeline.read_text()}metrics: {{accuracy: {{direction: up}}}}\n"
        f"gates: [{{metric: accuracy, baseline: '{baseline}', max_drop: 0.5}}]\n"
    )
    (released.project / "base.json").write_text('{"accuracy": 0.8}')
    released.git("add", "--force", "metrics.json")
    released.git("commit", "-qam", "gates")
    run = same_again(released)
    assert promoted(released, run, dry_run=True).version == "v1.0.0"
    move_on(released)
    with pytest.raises(
        Refused, match=f"the baseline {baseline} has changed since the verdict: it was "
    ) as stale:
        promoted(released, run)
    assert stale.value.hint == f"judge the run anew: nbci gate {run}"
    assert released.tags(released.project) == set()
    judged = released.nbci("gate", run)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert promoted(released, run).version == "v1.0.0"
    assert promoted(released, run).done


_GATES = """\
metrics: {accuracy: {direction: up}}
gates:
  - {metric: accuracy, at_least: 0.915}
  - {metric: accuracy, baseline: champion, max_drop: 0.5}
"""


def test_only_what_the_gates_let_pass(released: Released) -> None:
    pipeline = released.project / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text() + _GATES)
    released.git("commit", "-qam", "gates")
    nbci = released.nbci
    assert nbci("run", "pipeline.yaml", "-p", "C=2", "--quiet").returncode == 0
    good = max(os.listdir(released.project / ".nbci/runs"))
    assert nbci("run", "pipeline.yaml", "-p", "C=1", "--quiet").returncode == 3
    weak = max(os.listdir(released.project / ".nbci/runs"))
    with pytest.raises(Refused, match=r"the gates refuse run .*: accuracy at least 0\.915"):
        promoted(released, weak)
    overridden = nbci("gate", weak, "--override", "1", "--reason", "a hotfix")
    assert overridden.returncode == 0, overridden.stderr
    assert promoted(released, weak).version == "v1.0.0"
    (deed, *_) = history(released.git, read_models(released.git))
    assert (deed.action, deed.by, deed.reason) == ("gate overridden", "A Tester", "a hotfix")
    with pytest.raises(
        Refused, match=r"compares with nothing, and now digits@v1\.0\.0 is to be beaten"
    ) as stale:
        promoted(released, good)
    assert stale.value.hint == f"judge the run anew: nbci gate {good}"
    assert nbci("gate", good).returncode == 0
    assert promoted(released, good).version == "v1.0.1"
    assert promoted(released, good).done  # what is to be beaten now is this very release
    with pytest.raises(Refused, match=r"and now digits@v1\.0\.1 is to be beaten"):
        promoted(released, weak)
