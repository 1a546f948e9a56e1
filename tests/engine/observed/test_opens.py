"""What inotify tells of opened files, and what is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.engine.caching.decide import is_kept
from nbci.engine.observed.below import paths_named, with_opened
from nbci.engine.observed.kinds import VERSION, first_change
from nbci.engine.observed.opens import Opens, Window
from nbci.kernels.job import Seen
from nbci.plan.model import PlannedCell, PlannedStep
from nbci.records.run_record import Part, StepRecord
from nbci.store.file_index import FileIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NATIVE = Seen(interpreter=sys.executable, native=("pyarrow",))
STEP = PlannedStep(name="a", notebook="n", kernel="k", language="python", cells=())


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    """Watches a project with a file, a folder, links, and what is not the project's."""
    project = tmp_path / "project"
    for name in (
        "data/deep/a.bin",
        "b.bin",
        ".venv/pyvenv.cfg",
        ".venv/lib/c.bin",
        ".nbci/d.bin",
        "notes.md",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    for name in ("store/e.bin", "far/f.bin"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (project / "linked").symlink_to(tmp_path / "store")
    (project / "data" / "deep" / "f.bin").symlink_to(tmp_path / "far" / "f.bin")
    watching = Opens(project)
    watching.start()
    yield watching
    watching.close()


def opened(opens: Opens, root: Path, *names: str) -> Seen:
    """What a step with a library below Python is said to have used when another process opens these
    files.
    """
    window = opens.begin()
    for name in names:
        subprocess.run(["cat", root / name], check=True)
    opens.end(window)
    return with_opened(NATIVE, opens, window)


def test_what_is_opened_in_the_project_is_told(opens: Opens, tmp_path: Path) -> None:
    root = tmp_path / "project"
    names = (
        "data/deep/a.bin",
        "b.bin",
        "linked/e.bin",
        ".venv/lib/c.bin",
        ".nbci/d.bin",
        "notes.md",
    )
    seen = opened(opens, root, *names)
    assert [path for kind, path, _ in seen.sights if kind == "file"] == [
        str(root / name) for name in sorted(names[:3])
    ]
    assert seen.unwatched == ()


def test_a_link_to_a_file_leads_to_it(opens: Opens, tmp_path: Path) -> None:
    opened(opens, tmp_path / "project")  # by then, the links have been looked for
    seen = opened(opens, tmp_path / "project", "data/deep/f.bin")
    assert ("file", str(tmp_path / "project" / "data" / "deep" / "f.bin"), ()) in seen.sights


def test_a_watch_that_fails_is_told_and_waited_for_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.bin").touch()

    def fail(*_: object) -> list[bytes]:
        raise MemoryError("no room")

    monkeypatch.setattr(Opens, "_add_tree", fail)
    with closing(Opens(tmp_path)) as opens:
        opens.start()
        seen = opened(opens, tmp_path, "a.bin")
    assert opens.trouble == "its folders could not be watched: no room"
    assert seen.unwatched == ("pyarrow",)


def test_a_link_that_leads_round_and_round_keeps_nothing_from_being_watched(tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / "a.bin").touch()
    for name in ("round", "deep/round", "deep/deeper/round"):
        (tmp_path / name).symlink_to("round")
    (tmp_path / "deep" / "deeper" / "top").symlink_to(tmp_path)
    with closing(Opens(tmp_path)) as opens:
        opens.start()
        seen = opened(opens, tmp_path, "deep/deeper/a.bin")
    assert seen.unwatched == ()
    assert [path for kind, path, _ in seen.sights if kind == "file"] == [
        str(tmp_path / "deep" / "deeper" / "a.bin")
    ]


def test_what_is_made_meanwhile_is_written_and_not_read(opens: Opens, tmp_path: Path) -> None:
    made = tmp_path / "project" / "new" / "made.bin"
    window = opens.begin()
    made.parent.mkdir()
    opens.end(opens.begin())
    subprocess.run(["sh", "-c", f"echo x > {made}; cat {made}"], check=True)
    opens.end(window)
    seen = with_opened(NATIVE, opens, window)
    assert (seen.sights, str(made) in seen.written) == ((), True)


def test_what_another_step_told_of_is_its_own(opens: Opens, tmp_path: Path) -> None:
    path = str(tmp_path / "project" / "b.bin")
    windows = opens.begin(), opens.begin()
    subprocess.run(["cat", path], check=True)
    opens.end(windows[0], claimed=[path])
    opens.end(windows[1])
    assert with_opened(NATIVE, opens, windows[0]).sights == (("file", path, ()),)
    assert with_opened(NATIVE, opens, windows[1]).sights == ()


@pytest.mark.parametrize("ends_first", [0, 1])
def test_what_a_step_declares_to_make_was_written_by_no_other(
    opens: Opens, tmp_path: Path, ends_first: int
) -> None:
    root = tmp_path / "project"
    outs = [str(root / "plots.json"), str(root / "data" / "deep")]
    windows = opens.begin(outs=outs), opens.begin()
    subprocess.run(
        ["sh", "-c", "echo > plots.json; echo > data/deep/new.bin; echo > stray.bin"],
        cwd=root,
        check=True,
    )
    opens.end(windows[ends_first])
    opens.end(windows[1 - ends_first])
    written = {str(root / name) for name in ("plots.json", "data/deep/new.bin", "stray.bin")}
    assert set(with_opened(NATIVE, opens, windows[0]).written) & written == written
    assert set(with_opened(NATIVE, opens, windows[1]).written) & written == {
        str(root / "stray.bin")
    }


def test_a_step_in_which_python_sees_all_has_only_what_it_tells(
    opens: Opens, tmp_path: Path
) -> None:
    seen = Seen(interpreter=sys.executable, native=("numpy",))
    window = opens.begin()
    subprocess.run(["cat", tmp_path / "project" / "b.bin"], check=True)
    opens.end(window)
    assert with_opened(seen, opens, window) == seen


@pytest.mark.parametrize(("trouble", "lost"), [("no more watches", False), (None, True)])
def test_where_the_system_does_not_tell_a_result_is_not_kept(
    tmp_path: Path, trouble: str | None, lost: bool
) -> None:
    opens = Opens(tmp_path)
    opens.trouble = trouble
    assert with_opened(NATIVE, opens, Window(lost=lost)).unwatched == ("pyarrow",)
    record = StepRecord(
        name="a", result="passed", observed=(Part(kind="unwatched", label="pyarrow", digest=""),)
    )
    declared = PlannedStep(
        name="a", notebook="n", kernel="k", language="python", cells=(), deps=("d",)
    )
    asked = PlannedStep(name="a", notebook="n", kernel="k", language="python", cells=(), cache=True)
    assert [is_kept(step, record) for step in (STEP, declared, asked)] == [False, True, True]


def test_paths_elsewhere_that_the_code_names(tmp_path: Path) -> None:
    project, home = tmp_path / "project", os.path.expanduser("~")
    project.mkdir()
    (tmp_path / "far.bin").touch()
    named = [
        f"{tmp_path}/far.bin",
        "../far.bin",
        str(tmp_path),
        home,
        "/usr/bin",
        "data/x",
        "https://a/b",
        "/no/x",
    ]
    code = f"read({', '.join(map(repr, named))})"
    cell = PlannedCell(role="step", number=1, source=code)
    step = PlannedStep(name="a", notebook="n", kernel="k", language="python", cells=(cell,))
    assert set(paths_named(step, project)) == {str(tmp_path / "far.bin")}


def test_a_record_of_a_shorter_list_is_not_reused(tmp_path: Path) -> None:
    index = FileIndex(tmp_path / "digests.json")
    old = StepRecord(name="a", result="passed")
    new = StepRecord(name="a", result="passed", observed_version=VERSION)
    assert first_change(tmp_path, STEP, new, index) is None
    assert "did not note all" in (first_change(tmp_path, STEP, old, index) or "")


def test_a_folder_for_outs_that_is_still_to_be_made_is_no_change(tmp_path: Path) -> None:
    step = replace(STEP, outs=("build/deep/model.bin",))
    index = FileIndex(tmp_path / "digests.json")

    def change(label: str, state: str) -> str | None:
        seen = (Part(kind="stat", label=label, digest=state),)
        record = StepRecord(name="a", result="passed", observed=seen, observed_version=VERSION)
        return first_change(tmp_path, step, record, index)

    assert change("build", "type=folder") is None
    assert change("build/deep", "type=folder") is None
    # What nobody makes beforehand, and what says more of it than that it is there.
    assert change("data", "type=folder") is not None
    assert change("build", "time=12 type=folder") is not None
    (tmp_path / "build").touch()
    assert change("build", "type=folder") is not None
