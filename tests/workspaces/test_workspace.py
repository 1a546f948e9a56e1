"""Private workspaces: what they hold, and that nothing in them reaches the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.dot_nbci import WORKSPACES_FOLDER
from nbci.workspaces.commit_files import has_commit
from nbci.workspaces.workspace import (
    Contents,
    Resumable,
    is_left,
    open_workspace,
    remove_abandoned,
)

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=n@example.com", *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, encoding="utf-8")
    return done.stdout.strip()


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def files_of(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[path.relative_to(root).as_posix()] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[path.relative_to(root).as_posix()] = path.read_text("utf-8")
    return found


def contents_of(project: Project, contents: Contents | None = None) -> dict[str, str]:
    with open_workspace(project, "w", contents or Contents()) as workspace:
        return files_of(workspace.project.root)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=(tmp_path / "p").resolve())


def test_without_git_all_but_the_folders_of_tools(project: Project) -> None:
    write(
        project.root,
        a_txt="a",
        sub__b_txt="b",
        venv__pyvenv_cfg="x",
        venv__bin__python="x",
        node_modules__x="x",
    )
    (project.root / "node_modules").mkdir(exist_ok=True)
    (project.root / "node_modules/x").write_text("x", encoding="utf-8")
    (project.root / ".nbci/runs").mkdir(parents=True)
    (project.root / ".nbci/runs/x").write_text("x", encoding="utf-8")
    (project.root / ".dvc").mkdir()
    (project.root / ".dvc/config").write_text("x", encoding="utf-8")

    found = contents_of(project)

    assert found.keys() & {"a.txt", "sub/b.txt"} == {"a.txt", "sub/b.txt"}
    assert not any(name.startswith(("venv", "node_modules", ".nbci", ".dvc")) for name in found)


def test_with_git_what_is_not_ignored_and_what_is_asked_for(project: Project) -> None:
    write(project.root, tracked_txt="1", new_txt="2", data__big_csv="3", data__other_csv="4")
    (project.root / ".gitignore").write_text("data\n", encoding="utf-8")
    git(project.root, "init", "-q")
    git(project.root, "add", "tracked.txt", ".gitignore")

    found = contents_of(project, Contents(also=("data/big.csv", "gone.csv"), without=("new.txt",)))

    assert found == {".gitignore": "data\n", "tracked.txt": "1", "data/big.csv": "3"}


def test_the_commit_has_its_own_files(project: Project) -> None:
    write(project.root, same_txt="same", changed_txt="old", gone_txt="gone", sub__deep_txt="deep")
    (project.root / "link").symlink_to("same.txt")
    (project.root / "program").write_text("#!", encoding="utf-8")
    (project.root / "program").chmod(0o755)
    git(project.root, "init", "-q")
    git(project.root, "add", "--all")
    git(project.root, "commit", "-q", "-m", "one")
    commit = git(project.root, "rev-parse", "HEAD")
    write(project.root, changed_txt="new", later_txt="later", untracked_txt="untracked")
    for name in ("gone.txt", "sub/deep.txt", "link", "program"):
        (project.root / name).unlink()
    git(project.root, "add", "later.txt", "changed.txt")
    git(project.root, "commit", "-q", "-m", "two")
    write(project.root, changed_txt="newer")
    git(project.root, "add", "changed.txt")
    staged = git(project.root, "status", "--short")

    with open_workspace(project, "w", Contents(commit=commit)) as workspace:
        found = files_of(workspace.project.root)
        mode = (workspace.project.root / "program").stat().st_mode

    assert found == {
        "same.txt": "same",
        "changed.txt": "old",
        "gone.txt": "gone",
        "sub/deep.txt": "deep",
        "link": "-> same.txt",
        "program": "#!",
        "untracked.txt": "untracked",
    }
    assert mode & 0o111
    assert git(project.root, "status", "--short") == staged
    assert has_commit(project.root, commit)
    assert not has_commit(project.root, "0" * 40)


def test_a_project_that_is_a_part_of_its_repository(tmp_path: Path) -> None:
    project = Project(root=(tmp_path / "p/ml").resolve())
    write(project.root, a_txt="old", sub__b_txt="b")
    write(project.root.parent, outside_txt="outside")
    git(project.root.parent, "init", "-q")
    git(project.root.parent, "add", "--all")
    git(project.root.parent, "commit", "-q", "-m", "one")
    commit = git(project.root.parent, "rev-parse", "HEAD")
    write(project.root, a_txt="new")
    (project.root / "sub/b.txt").unlink()

    assert contents_of(project, Contents(commit=commit)) == {"a.txt": "old", "sub/b.txt": "b"}


def test_links_lead_into_the_workspace_or_to_where_they_led(
    project: Project, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    write(outside, x_txt="x")
    write(project.root, data__a_txt="a")
    (project.root / "relative").symlink_to("data/a.txt")
    (project.root / "absolute").symlink_to(project.root / "data/a.txt")
    (project.root / "folder").symlink_to(outside)
    (project.root / "broken").symlink_to("nowhere")
    (project.root / "circle").symlink_to("circle")

    found = contents_of(project, Contents(also=("folder/x.txt",)))

    assert found == {
        "data/a.txt": "a",
        "relative": "-> data/a.txt",
        "absolute": "-> data/a.txt",
        "folder": f"-> {outside.resolve()}",
        "broken": "-> nowhere",
        "circle": "-> circle",
    }


def test_nothing_written_there_reaches_the_checkout(project: Project) -> None:
    write(project.root, a_txt="a")
    place = project.root / "a.txt"
    place.chmod(0o444)
    times = place.stat().st_mtime_ns

    with open_workspace(project, "w", Contents()) as workspace:
        copy = workspace.project.root / "a.txt"
        assert copy.stat().st_mode & 0o777 == 0o444
        assert copy.stat().st_mtime_ns == times
        copy.chmod(0o644)
        copy.write_text("b", encoding="utf-8")

    assert place.read_text("utf-8") == "a"
    assert place.stat().st_mode & 0o777 == 0o444


def test_folders_that_only_have_to_be_there(project: Project) -> None:
    write(project.root, data__big_csv="3", other__x_csv="4")
    (project.root / ".gitignore").write_text("data\nother\n", encoding="utf-8")
    git(project.root, "init", "-q")

    with open_workspace(project, "w", Contents(folders=("data", "none", "."))) as workspace:
        names = sorted(path.name for path in workspace.project.root.iterdir())
        assert names == [".gitignore", "data"]
        assert list((workspace.project.root / "data").iterdir()) == []


def test_it_is_removed_also_after_an_error(project: Project) -> None:
    write(project.root, a_txt="a")
    with pytest.raises(ZeroDivisionError), open_workspace(project, "w", Contents()):
        raise ZeroDivisionError

    assert list((project.root / WORKSPACES_FOLDER).iterdir()) == []


def test_only_what_nobody_holds_is_removed(project: Project) -> None:
    write(project.root, a_txt="a")
    abandoned = project.root / WORKSPACES_FOLDER / "old"
    write(abandoned, files__a_txt="a")

    with open_workspace(project, "w", Contents()) as workspace:
        remove_abandoned(project)
        assert (workspace.project.root / "a.txt").exists()
    assert not abandoned.exists()


def test_that_of_a_run_that_may_go_on_stays(project: Project) -> None:
    write(project.root, a_txt="a", run__x_txt="x")
    run = project.root / "run"
    over: list[bool] = []
    going_on = Resumable(folder=run, has_ended=lambda: bool(over))
    with open_workspace(project, "w", Contents(), going_on) as workspace:
        (workspace.project.root / "b.txt").write_text("b", encoding="utf-8")
    write(project.root, a_txt="changed")

    remove_abandoned(project)
    assert is_left(project, "w")
    with open_workspace(project, "w", Contents(), going_on) as workspace:
        names = {
            path.name: path.read_text("utf-8") for path in workspace.project.root.glob("*.txt")
        }
        over.append(True)

    assert names == {"a.txt": "a", "b.txt": "b"}
    assert not is_left(project, "w")


def test_it_goes_with_the_run_and_with_all_others(project: Project) -> None:
    write(project.root, a_txt="a", run__x_txt="x", other__x_txt="x")
    for name in ("run", "other"):
        staying = Resumable(folder=project.root / name, has_ended=lambda: False)
        with open_workspace(project, name, Contents(), staying):
            pass

    shutil.rmtree(project.root / "run")
    remove_abandoned(project)
    assert (is_left(project, "run"), is_left(project, "other")) == (False, True)
    remove_abandoned(project, resumable_too=True)

    assert list((project.root / WORKSPACES_FOLDER).iterdir()) == []


def test_strange_files_are_left_out_or_copied(project: Project) -> None:
    write(project.root, a_txt="a")
    os.mkfifo(project.root / "pipe")
    (project.root / "line\nbreak").write_text("x", encoding="utf-8")
    (project.root / "-rf").write_text("x", encoding="utf-8")
    git(project.root, "init", "-q")
    git(project.root, "add", "a.txt", "line\nbreak", "--", "-rf")
    git(project.root, "commit", "-q", "-m", "one")
    commit = git(project.root, "rev-parse", "HEAD")
    (project.root / "line\nbreak").unlink()
    (project.root / "-rf").write_text("y", encoding="utf-8")

    found = contents_of(project, Contents(commit=commit))

    assert found == {"a.txt": "a", "line\nbreak": "x", "-rf": "x"}
