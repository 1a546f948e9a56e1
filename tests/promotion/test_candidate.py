"""Runs that are refused, and what a refusal leaves: nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.config import find_project
from nbci.data.repository import project_cache
from nbci.errors import InfrastructureError, IntegrityError, NbciError, UsageError
from nbci.runs.project_runs import find_run
from tests.promotion.promoting import MODEL, promote_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.releases import Released


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
        promote_here(released, environ=environ)
    assert type(raised.value).exit_code == kind.exit_code
    assert raised.value.hint
    assert released.tags(released.project) == before


def test_an_altered_record_is_no_evidence(released: Released) -> None:
    record = released.project / _RECORD.format(run=released.runs[1])
    record.write_text(record.read_text().replace("0.92", "0.99"))
    with pytest.raises(IntegrityError, match=r"record was changed after the run"):
        promote_here(released)


@pytest.mark.parametrize("environ", [{"GIT_BRANCH": "origin/release/1.x"}, {"BRANCH_NAME": "main"}])
def test_ci_says_which_branch_it_built(released: Released, environ: dict[str, str]) -> None:
    detached(released)
    made = promote_here(released, environ=environ, dry_run=True)
    assert made.version == "v1.0.0"
