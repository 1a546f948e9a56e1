"""From a release to its place, over every way in which that may fail; the place is a fake."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from gto.constants import VersionSort
from gto.registry import GitRegistry

from nbci.app.deployment import places
from nbci.deployment.target import NotReady, Placed, Running
from nbci.errors import InfrastructureError, IntegrityError, UsageError
from nbci.git.process import GitFailed
from nbci.promotion.stage_changes import Move, rollback
from nbci.registry.queries import deployment_rows, history, stage_rows
from nbci.registry.read import read_models
from nbci.store.files import try_lock
from tests.app.deployment.projects import ReleasedProject
from tests.deployment.bundles import BAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.deployment.target import Bundle, Surroundings
    from nbci.pipeline.deploy_document import Options


class Shelf:
    """A place that remembers in a file what is on it, and refuses the bad version."""

    def __init__(self, _: Options, around: Surroundings) -> None:
        self.file = around.folder / "shelf"

    def running(self) -> Running | None:
        if not self.file.exists():
            return None
        return Running(version=self.file.read_text(), what="a shelf")

    def put(self, bundle: Bundle) -> Placed:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(bundle.version)
        if bundle.version == BAD:
            raise NotReady("it is bad")
        return Placed(state="running")

    def take_out(self) -> bool:
        self.file.unlink(missing_ok=True)
        return True


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleasedProject:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))
    monkeypatch.setattr(places, "TARGETS", {"process": Shelf})
    for name in ("CHANGE_ID", "BUILD_URL"):
        monkeypatch.delenv(name, raising=False)
    made = ReleasedProject(tmp_path)
    made.release("v1.0.0")
    made.release("v1.1.0")
    return made


def shelf(tmp_path: Path, place: str = "shelf") -> str | None:
    found = [*tmp_path.glob(f"states/nbci/deployments/*/linear/{place}/shelf")]
    return found[0].read_text() if found else None


def test_versions_come_and_go_and_tags_say_so(project: ReleasedProject, tmp_path: Path) -> None:
    first = project.deploy("linear@v1.0.0", "shelf", reason="the first")
    assert first.deployments[0].tags == ("linear#deployed-shelf#3",)
    again = project.deploy("linear@v1.0.0", "shelf")
    assert [each.state for each in again.deployments] == ["there"]

    newer = project.deploy("linear#production", "shelf").deployments[0]
    assert (newer.state, newer.before, newer.version) == ("deployed", "v1.0.0", "v1.1.0")
    older = project.deploy("linear@1.0.0", "shelf").deployments[0]
    assert (older.before, shelf(tmp_path)) == ("v1.1.0", "v1.0.0")

    assert project.tags() == [
        "linear#deployed-shelf!#5",
        "linear#deployed-shelf#3",
        "linear#deployed-shelf#4",
        "linear#deployed-shelf#6",
    ]
    models = read_models(project.git)
    (row,) = deployment_rows(models)
    assert (row.place, row.version, row.kind, row.by) == ("shelf", "v1.0.0", "process", "A Tester")
    done = [(entry.action, entry.version, entry.reason) for entry in history(project.git, models)]
    assert done[4] == ("deployed", "v1.0.0", "the first")
    assert done[-2:] == [("replaced", "v1.1.0", None), ("deployed", "v1.0.0", None)]
    # Promotion has nothing to do with it: the model is in one stage as before.
    assert [row.stage for row in stage_rows(project.git, models)] == ["production"]
    assert rollback(project.root, Move(model="linear"), os.environ).now == "v1.0.0"
    with pytest.raises(UsageError, match="where a release runs"):
        rollback(project.root, Move(model="linear", stage="deployed-shelf"), os.environ)


@pytest.mark.slow
def test_stock_tools_understand_the_tags(
    project: ReleasedProject, stock: Callable[..., str]
) -> None:
    for version in ("v1.0.0", "v1.1.0", "v1.0.0"):
        project.deploy(f"linear@{version}", "shelf")
    # It orders the versions of a stage in two ways, which have to tell the same.
    for order in VersionSort:
        with GitRegistry.from_url(str(project.root)) as registry:
            artifact = registry.get_state().find_artifact("linear")
        held = artifact.get_vstages(versions_per_stage=1, sort=order)
        assert [found.version for found in held["deployed-shelf"]] == ["v1.0.0"]
    done = json.loads(stock("gto", "history", "linear", "--json", cwd=project.root))
    assert [row["stage"] for row in done].count("deployed-shelf") == 4


def test_a_version_that_does_not_get_ready_is_undone(
    project: ReleasedProject, tmp_path: Path
) -> None:
    project.release(BAD)
    nothing = project.deploy(f"linear@{BAD}", "shelf")
    assert nothing.refused
    assert (nothing.deployments[0].now, shelf(tmp_path)) == (None, None)
    assert "stopped" in nothing.deployments[0].notes[-1]
    assert deployment_rows(read_models(project.git)) == ()

    project.deploy("linear@v1.1.0", "shelf")
    refused = project.deploy(f"linear@{BAD}").deployments
    # The second place is not tried with what the first refused.
    (only,) = refused
    assert (only.state, only.now, only.reason) == ("back", "v1.1.0", "it is bad")
    assert shelf(tmp_path) == "v1.1.0"
    (row,) = deployment_rows(read_models(project.git))
    assert row.version == "v1.1.0"
    last = history(project.git, read_models(project.git))[-1]
    assert (last.action, last.reason, last.place) == ("back", "it is bad", "shelf")


def test_a_call_after_one_that_was_killed_finds_out_the_truth(
    project: ReleasedProject, tmp_path: Path
) -> None:
    project.deploy("linear@v1.0.0", "shelf")
    (file,) = tmp_path.glob("states/nbci/deployments/*/linear/shelf/shelf")
    # It had put the version there, and was killed before it wrote that down.
    file.write_text("v1.1.0")
    goes_on = project.deploy("linear@v1.1.0", "shelf").deployments[0]
    assert (goes_on.state, goes_on.tags) == ("deployed", ("linear#deployed-shelf#4",))

    # It was killed with a version there that the next call does not want.
    file.write_text(BAD)
    back = project.deploy("linear@v1.1.0", "shelf").deployments[0]
    assert (back.state, shelf(tmp_path)) == ("deployed", "v1.1.0")


def test_two_at_once_do_not_meet(project: ReleasedProject, tmp_path: Path) -> None:
    project.deploy("linear@v1.0.0", "shelf")
    (file,) = tmp_path.glob("states/nbci/deployments/*/linear/shelf/deploy.lock")
    lock = try_lock(file)
    assert lock is not None
    with pytest.raises(InfrastructureError, match="another nbci deploy"):
        project.deploy("linear@v1.1.0", "shelf")
    os.close(lock)


def test_a_release_that_was_altered_goes_nowhere(project: ReleasedProject, tmp_path: Path) -> None:
    commit = project.git("rev-parse", operands=["linear@v1.1.0^{commit}"])
    (project.cached(commit) / "linear.onnx").write_bytes(b"altered")
    with pytest.raises(IntegrityError):
        project.deploy("linear@v1.1.0", "shelf")
    assert shelf(tmp_path) is None


def test_nothing_is_begun_where_origin_is_away(project: ReleasedProject, tmp_path: Path) -> None:
    project.origin.rename(tmp_path / "away")
    with pytest.raises(GitFailed):
        project.deploy("linear@v1.1.0", "shelf")
    assert shelf(tmp_path) is None
    here = project.deploy("linear@v1.1.0", "shelf", push=False)
    assert not here.deployments[0].pushed


def test_a_dry_run_and_a_stop(project: ReleasedProject, tmp_path: Path) -> None:
    planned = project.deploy("linear@v1.1.0", dry_run=True).deployments
    assert [(each.state, each.agent) for each in planned] == [("planned", None), ("planned", "gpu")]
    assert shelf(tmp_path) is None
    assert project.tags() == []

    project.deploy("linear@v1.1.0", "shelf")
    with pytest.raises(UsageError, match="name the place"):
        project.deploy("linear", stop=True)
    stopped = project.deploy("linear", "shelf", stop=True).deployments[0]
    assert (stopped.state, shelf(tmp_path)) == ("stopped", None)
    assert deployment_rows(read_models(project.git)) == ()


@pytest.mark.parametrize(
    ("pipeline", "words", "message"),
    [
        (None, ("linear@v1.0.0", "shelv"), "no deployment 'shelv'"),
        ("nb.ipynb", ("linear", "shelf"), "no pipeline file"),
        ("gone.yaml", ("linear", "shelf"), "cannot be read"),
        ("bare.yaml", ("linear",), "names no place"),
    ],
)
def test_what_makes_no_sense_is_refused(
    project: ReleasedProject, pipeline: str | None, words: tuple[str, ...], message: str
) -> None:
    (project.root / "bare.yaml").write_text("steps: {fit: {notebook: fit.ipynb}}\n")
    with pytest.raises(UsageError, match=message):
        project.deploy(*words, pipeline=pipeline)


def test_a_build_of_a_change_deploys_nothing(project: ReleasedProject, tmp_path: Path) -> None:
    fork = {"CHANGE_ID": "17", "CHANGE_FORK": "somebody"}
    with pytest.raises(UsageError, match="change 17"):
        project.deploy("linear", "shelf", environ=fork)
    done = project.deploy("linear", after_promotion=True, environ=fork)
    assert done.remark is not None
    assert shelf(tmp_path) is None

    (project.root / "none.yaml").write_text("steps: {fit: {notebook: fit.ipynb}}\n")
    bare = project.deploy("linear", after_promotion=True, pipeline="none.yaml")
    assert (bare.deployments, bare.version) == ((), "v1.1.0")
