"""Git is asked the same in each of these states, so it is git that says what is right."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbci.git.checkout import Checkout, read_checkout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def git(folder: Path, *words: str, check: bool = True) -> str:
    asked = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *words],
        cwd=folder,
        check=check,
        capture_output=True,
        text=True,
    )
    return asked.stdout.strip()


def truth(folder: Path) -> Checkout:
    return Checkout(
        commit=git(folder, "rev-parse", "--verify", "-q", "HEAD", check=False) or None,
        branch=git(folder, "symbolic-ref", "--short", "-q", "HEAD", check=False) or None,
        dirty=bool(
            git(folder, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
        ),
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits."""
    git(tmp_path, "init", "-q", "-b", "main", "repository")
    return with_history(tmp_path / "repository")


def with_history(folder: Path) -> Path:
    for name in ("a.txt", "data/long name.txt", "data/long name.txt.bak", "data/ü.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    (folder / "link").symlink_to("a.txt")
    (folder / ".gitignore").write_text("ignored\n")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "one")
    (folder / "a.txt").write_text("two")
    git(folder, "commit", "-qam", "two")
    return folder


def changed(folder: Path) -> None:
    (folder / "data/ü.txt").write_text("other")


def same_size(folder: Path) -> None:
    times = (folder / "a.txt").stat()
    (folder / "a.txt").write_text("owt")
    os.utime(folder / "a.txt", ns=(times.st_atime_ns, times.st_mtime_ns))


def touched(folder: Path) -> None:
    os.utime(folder / "a.txt")


def removed(folder: Path) -> None:
    (folder / "a.txt").unlink()


def became_a_link(folder: Path) -> None:
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to("link")


def executable(folder: Path) -> None:
    (folder / "a.txt").chmod(0o755)


def staged(folder: Path) -> None:
    (folder / "a.txt").write_text("three")
    git(folder, "add", "a.txt")


def staged_and_taken_back(folder: Path) -> None:
    staged(folder)
    (folder / "a.txt").write_text("two")
    git(folder, "add", "a.txt")


def intended(folder: Path) -> None:
    (folder / "new").write_text("new")
    git(folder, "add", "--intent-to-add", "new")


def conflicting(folder: Path) -> None:
    git(folder, "checkout", "-q", "-b", "other", "HEAD~1")
    (folder / "a.txt").write_text("other")
    git(folder, "commit", "-qam", "other")
    git(folder, "merge", "-q", "main", check=False)


def untracked_and_ignored(folder: Path) -> None:
    (folder / "new").write_text("new")
    (folder / "ignored").write_text("ignored")


STATES: list[Callable[[Path], object]] = [
    lambda folder: None,
    changed,
    same_size,
    touched,
    removed,
    became_a_link,
    executable,
    staged,
    staged_and_taken_back,
    intended,
    conflicting,
    untracked_and_ignored,
    lambda folder: git(folder, "checkout", "-q", "--detach", "HEAD~1"),
    lambda folder: git(folder, "checkout", "-q", "-b", "feature/with-a-folder"),
    lambda folder: git(folder, "checkout", "-q", "--orphan", "empty"),
    lambda folder: git(folder, "pack-refs", "--all"),
    lambda folder: git(folder, "gc", "-q"),
    lambda folder: git(folder, "update-index", "--assume-unchanged", "a.txt"),
    lambda folder: git(folder, "update-index", "--skip-worktree", "a.txt"),
    lambda folder: git(folder, "update-index", "--split-index"),
    lambda folder: git(folder, "reset", "-q", "--soft", "HEAD~1"),
]


@pytest.mark.parametrize("bring_about", STATES)
def test_it_says_what_git_says(repository: Path, bring_about: Callable[[Path], object]) -> None:
    bring_about(repository)
    (repository / ".nbci").mkdir()
    expected = truth(repository)
    assert read_checkout(repository) == expected
    assert read_checkout(repository / "data") == expected  # now from memory


@pytest.mark.parametrize("form", ["sha256", "index.version=4"])
@pytest.mark.parametrize(
    "bring_about", [lambda folder: None, changed, same_size, touched, staged, intended]
)
def test_other_forms_of_repositories_are_read_too(
    tmp_path: Path, form: str, bring_about: Callable[[Path], object]
) -> None:
    format_of_objects = form if form == "sha256" else "sha1"
    git(tmp_path, "init", "-q", "-b", "main", f"--object-format={format_of_objects}", "other")
    if form != "sha256":
        git(tmp_path / "other", "config", *form.split("="))
    with_history(tmp_path / "other")
    bring_about(tmp_path / "other")
    assert read_checkout(tmp_path / "other") == truth(tmp_path / "other")


def test_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    assert read_checkout(tmp_path) == Checkout(commit=None, branch="main", dirty=False)
    (tmp_path / "a").write_text("a")
    git(tmp_path, "add", "a")
    assert read_checkout(tmp_path) == truth(tmp_path)


def test_without_a_repository_there_is_none(tmp_path: Path) -> None:
    assert read_checkout(tmp_path) is None


def test_a_worktree_has_a_head_of_its_own(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "beside", str(tmp_path / "beside"), "HEAD~1")
    assert read_checkout(tmp_path / "beside") == truth(tmp_path / "beside")
    (tmp_path / "beside" / "a.txt").write_text("changed")
    assert read_checkout(tmp_path / "beside") == truth(tmp_path / "beside")
    assert read_checkout(repository) == truth(repository)


def test_a_submodule_counts_by_its_commit(tmp_path: Path) -> None:
    for name in ("outer", "inner"):
        git(tmp_path, "init", "-q", "-b", "main", name)
        git(tmp_path / name, "commit", "-q", "--allow-empty", "-m", name)
    outer = tmp_path / "outer"
    git(outer, "submodule", "add", "-q", str(tmp_path / "inner"), "inside")
    git(outer, "commit", "-qm", "with a submodule")
    assert read_checkout(outer) == truth(outer)
    assert read_checkout(outer / "inside") == truth(outer / "inside")
    git(outer / "inside", "commit", "-q", "--allow-empty", "-m", "further")
    found = read_checkout(outer)
    assert found == truth(outer)
    assert found is not None
    assert found.dirty


def test_a_source_that_is_not_tracked_makes_it_dirty(repository: Path) -> None:
    (repository / "data" / "new.ipynb").write_text("{}")
    clean = read_checkout(repository / "data", ["ü.txt"])
    dirty = read_checkout(repository / "data", ["ü.txt", "new.ipynb"])
    assert clean is not None
    assert dirty is not None
    assert (clean.dirty, dirty.dirty) == (False, True)


def test_a_commit_is_seen_after_it_was_remembered_as_staged(repository: Path) -> None:
    staged(repository)
    assert read_checkout(repository) == truth(repository)
    git(repository, "commit", "-qm", "three")
    assert read_checkout(repository) == truth(repository)


@pytest.mark.parametrize("data", [b"", b"DIRC", b"DIRC\0\0\0\2\0\0\0\5short", b"garbage" * 100])
def test_a_damaged_index_is_left_to_git(repository: Path, data: bytes) -> None:
    (repository / ".git" / "index").write_bytes(data)
    found = read_checkout(repository)
    assert found is None or found.dirty


def test_what_git_said_is_remembered_in_the_project(repository: Path) -> None:
    (repository / ".nbci").mkdir()
    os.utime(repository / "a.txt", ns=(1, 1))  # only git can tell whether it is the same
    time.sleep(
        1.1
    )  # what has just changed may change again without a trace: git is asked each time
    assert read_checkout(repository) == truth(repository)
    assert (repository / ".nbci" / "state" / "git.json").exists()
    staged(repository)
    assert read_checkout(repository) == truth(repository)


def test_a_memory_that_cannot_be_written_is_no_trouble(repository: Path) -> None:
    (repository / ".nbci").mkdir()
    (repository / ".nbci" / "state").write_text("")
    assert read_checkout(repository) == truth(repository)


@pytest.mark.parametrize("bring_about", [changed, staged])
def test_what_steps_make_does_not_count(
    repository: Path, bring_about: Callable[[Path], object]
) -> None:
    bring_about(repository)
    found = read_checkout(repository, made=["a.txt", "data"])
    assert found is not None
    assert not found.dirty
    within = read_checkout(repository / "data", made=["other"])
    assert within is not None
    assert within.dirty


ATTRIBUTES = [
    "text eol=crlf",
    "text eol=lf",
    "text=auto",
    "-text",
    "ident",
    "filter=shout",
    "working-tree-encoding=UTF-16",
]
SETTINGS = {
    "core.autocrlf": ["true", "input", "false"],
    "core.fileMode": ["true", "false"],
    "core.trustctime": ["true", "false"],
    "core.checkStat": ["default", "minimal"],
}
CONTENTS = ["a\nb\n", "a\r\nb\r\n", "a\r\nb\n", "$Id$\n", "LOUD\n", "quiet\n", ""]


def rewritten(place: Path) -> None:
    """As an editor saves it: the same bytes in another file."""
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(content)


def with_other_ends(place: Path) -> None:
    content = place.read_bytes()
    swapped = (
        content.replace(b"\r\n", b"\n") if b"\r\n" in content else content.replace(b"\n", b"\r\n")
    )
    place.write_bytes(swapped)


def in_other_case(place: Path) -> None:
    place.write_bytes(place.read_bytes().swapcase())


OPERATIONS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda place: None,
    "touched": os.utime,
    "rewritten": rewritten,
    "ends": with_other_ends,
    "case": in_other_case,
    "mode": lambda place: place.chmod(0o755),
    "longer": lambda place: place.write_bytes(place.read_bytes() + b"x"),
    "gone": lambda place: place.unlink(),
}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_says_what_git_says_with_attributes_and_filters(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("filtered")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "filter.shout.clean", "tr a-z A-Z")
    git(folder, "config", "filter.shout.smudge", "tr A-Z a-z")
    for name, values in SETTINGS.items():
        git(folder, "config", name, data.draw(st.sampled_from(values), label=name))
    attributes = {f"{number}.txt": data.draw(st.sampled_from(ATTRIBUTES)) for number in range(3)}
    for name, value in attributes.items():
        encoding = "utf-16" if "encoding" in value else "utf-8"
        (folder / name).write_bytes(data.draw(st.sampled_from(CONTENTS)).encode(encoding))
    lines = "".join(f"{name} {value}\n" for name, value in attributes.items())
    (folder / ".gitattributes").write_text(lines, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "one")
    if data.draw(st.booleans(), label="checked out anew"):
        git(folder, "rm", "-rq", ".")
        git(folder, "reset", "-q", "--hard")
    (folder / ".nbci").mkdir()
    for name in attributes:
        OPERATIONS[data.draw(st.sampled_from(sorted(OPERATIONS)))](folder / name)
    expected = truth(folder)

    assert read_checkout(folder) == expected
    assert read_checkout(folder) == expected  # now from memory, where git was asked


def test_a_copy_of_a_checkout_is_as_clean(repository: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", repository, tmp_path / "copy"], check=True)
    assert read_checkout(tmp_path / "copy") == truth(tmp_path / "copy")
    assert not truth(tmp_path / "copy").dirty


def test_a_change_within_a_submodule_is_one(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "part")
    with_history(tmp_path / "part")
    git(repository, "submodule", "add", "-q", str(tmp_path / "part"), "part")
    git(repository, "commit", "-qm", "part")
    assert read_checkout(repository) == truth(repository)
    (repository / "part" / "a.txt").write_text("other")
    assert read_checkout(repository) == truth(repository)
    assert truth(repository).dirty


def test_what_git_refuses_to_say_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    found = read_checkout(repository)
    assert found is not None
    assert found.dirty
    assert "dubious ownership" in (found.problem or "")


HOOKS = {
    "tells all": "printf 'token\\0/\\0'",
    "tells nothing": "printf 'token\\0'",
    "fails": "exit 1",
}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(
    "bring_about", [lambda folder: None, changed, same_size, touched, removed, staged, intended]
)
def test_it_says_what_git_says_with_a_file_system_monitor(
    repository: Path, tmp_path: Path, hook: str, bring_about: Callable[[Path], object]
) -> None:
    """Git itself leaves files out of account that the hook does not name."""
    script = tmp_path / "monitor"
    script.write_text(f"#!/bin/sh\n{HOOKS[hook]}\n")
    script.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(script))
    git(repository, "config", "core.fsmonitorHookVersion", "2")
    git(repository, "update-index", "--fsmonitor")
    git(repository, "status")  # it keeps in the index which files are as they were

    bring_about(repository)
    (repository / ".nbci").mkdir()
    expected = truth(repository)
    assert read_checkout(repository) == expected
    assert read_checkout(repository) == expected  # now from memory
