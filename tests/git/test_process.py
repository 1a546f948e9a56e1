"""Git as a process: remotes that do not answer, and what is passed on of those that do."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.app.promote_run import promote_run
from nbci.config import find_project
from nbci.errors import InfrastructureError
from nbci.git.process import Git, GitFailed
from nbci.promotion.promote import Request
from nbci.runs.project_runs import find_run
from tests.support.processes import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.releases import Released

SILENT = r"the remote has been silent for 1 s"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"git://127.0.0.1:{server.getsockname()[1]}/project"


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    subprocess.run(["git", "init", "-q", tmp_path / "project"], check=True)
    monkeypatch.setattr("nbci.git.process.PATIENCE_SECONDS", 1.0)
    return Git(tmp_path / "project")


@pytest.mark.parametrize(
    "words", [("ls-remote", "origin"), ("fetch", "origin"), ("push", "origin", "HEAD:refs/heads/x")]
)
def test_a_silent_remote_is_given_up(git: Git, silent: str, words: tuple[str, ...]) -> None:
    git("commit", "-q", "--allow-empty", "-m", "one")
    git("remote", "add", "origin", silent)
    with pytest.raises(GitFailed, match=SILENT) as raised:
        git(*words)
    assert isinstance(raised.value, InfrastructureError)
    assert raised.value.hint is not None


def test_what_git_started_ends_with_it(git: Git, tmp_path: Path) -> None:
    """Ssh, above all; it would hold the connection for ever."""
    noted = tmp_path / "pid"
    command = f"sh -c 'echo $$ > {noted}; exec sleep 1000' ssh"
    with pytest.raises(GitFailed, match=SILENT):
        git("ls-remote", "ssh://git@example.com/project", environ={"GIT_SSH_COMMAND": command})
    wait_for_end(int(noted.read_text()))


def test_progress_is_no_silence(git: Git, tmp_path: Path) -> None:
    """A remote that takes longer than the limit, and says so all the time."""
    slow = tmp_path / "slow"
    slow.write_text(
        "#!/bin/sh\nfor n in 1 2 3 4 5; do echo $n >&2; sleep 0.5; done\n"
        'exec git-upload-pack "$@"\n'
    )
    slow.chmod(0o755)
    git("commit", "-q", "--allow-empty", "-m", "one")
    git("fetch", f"--upload-pack={slow}", str(git.folder), "HEAD")
    assert git("rev-parse", "FETCH_HEAD") == git("rev-parse", "HEAD")


def test_what_a_remote_says_is_passed_on_without_progress(git: Git, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "origin"], check=True)
    hook = tmp_path / "origin/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'closed: 3 days'\nexit 1\n")
    hook.chmod(0o755)
    (git.folder / "file").write_text(os.urandom(5000).hex())
    git("add", ".")
    git("commit", "-q", "-m", "one")
    with pytest.raises(GitFailed) as raised:
        git("push", str(tmp_path / "origin"), "HEAD:refs/heads/main")
    assert "remote: closed: 3 days" in raised.value.complaint
    assert not re.search(r"%|objects", raised.value.complaint)


def test_a_promotion_does_not_wait_for_ever(
    released: Released, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbci.git.process.PATIENCE_SECONDS", 1.0)
    released.git("remote", "set-url", "origin", silent)
    project = find_project(released.project)
    with pytest.raises(InfrastructureError, match=SILENT):
        promote_run(project, find_run(project, released.runs[1]), Request(), os.environ)
    assert released.tags(released.project) == set()
