"""Files of a commit, put in the place of what the checkout has now."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.git.process import Git
from nbci.store.files import disk_errors, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ADDED = "A"


def has_commit(root: Path, commit: str) -> bool:
    """Whether the repository of the project still has a commit."""
    found = Git(root).get("rev-parse", "--verify", "--quiet", operands=[f"{commit}^{{commit}}"])
    return found is not None


def put_commit(root: Path, commit: str, target: Path, is_wanted: Callable[[str], bool]) -> None:
    """Make tracked files in `target`, a copy of the checkout at `root`, those of a commit.

    Only what differs and `is_wanted` is written, so that large files that are the same stay clones.
    Git's own filters apply. Nothing of the checkout or of its index is touched.
    """
    wanted = []
    for status, path in _differing(root, commit):
        if not is_wanted(path):
            continue
        with disk_errors(target / path):
            remove(target / path)
        if status != _ADDED:
            wanted.append(path)
    if wanted:
        _write(root, commit, wanted, target)


def _differing(root: Path, commit: str) -> Iterator[tuple[str, str]]:
    """What the checkout has otherwise than the commit: how, as `git diff` has it, and the path."""
    printed = Git(root).bytes(
        *("diff", "--name-status", "-z", "--no-renames", "--no-ext-diff", "--relative"),
        operands=[commit],
    )
    fields = list(map(os.fsdecode, printed.split(b"\0")))
    # The last one is empty: each field ends with a zero.
    yield from zip(fields[0:-1:2], fields[1::2], strict=False)


def _write(root: Path, commit: str, paths: list[str], target: Path) -> None:
    git = Git(root)
    with tempfile.TemporaryDirectory(prefix="nbci-", dir=target.parent) as name:
        # An index of its own: the user's may hold changes that are staged.
        environ = {"GIT_INDEX_FILE": f"{name}/index"}
        git("read-tree", operands=[commit], environ=environ)
        git(
            *("checkout-index", "--force", "-z", "--stdin", f"--prefix={name}/files/"),
            stdin="\0".join(paths),
            environ=environ,
        )
        # Git writes paths from the top of the repository, of which the project may be a part.
        written = Path(name, "files", git.prefix)
        for path in paths:
            if os.path.lexists(written / path):
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(written / path, target / path)
