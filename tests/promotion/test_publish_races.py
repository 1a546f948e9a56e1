"""Two promotions at once, and one that is killed at every step."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.config import find_project
from nbci.errors import InfrastructureError
from nbci.git.process import Git
from nbci.promotion.publish import LostRace, NewTag, make_tags
from nbci.runs.project_runs import find_run
from tests.promotion.promoting import promote_here, run_again
from tests.support.console import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.releases import Released


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
        promote_here(released)
    assert "for run 20990101-000000-000aaaa" in lost.value.message
    hook.unlink()
    assert released.tags() == {"digits@v1.0.0", "digits#production#1"}
    assert promote_here(released).version == "v1.0.1"


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
        promote_here(released)
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
    done = promote_here(released)
    assert (done.done, released.tags(released.project)) == (True, both)
    run = run_again(released)
    killed(released, killer.parent, "before update-ref", run, "--no-push")
    assert released.tags(released.project) == both
    killed(released, killer.parent, "after update-ref", run, "--no-push")
    assert promote_here(released, run).tags == ("digits@v1.0.1", "digits#production#2")
    assert released.tags() == released.tags(released.project)
    assert released.git("fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("fetched", [1, 2])
def test_tags_that_a_server_fetches_meanwhile_are_ours(tmp_path: Path, fetched: int) -> None:
    """A server in this checkout that follows the stage fetches what was pushed a moment ago."""

    class Follows(Git):
        def __call__(self, *words: str, **options: Any) -> str:
            if words[0] == "update-ref" and not plain.get("tag"):
                for name in names[:fetched]:
                    plain("update-ref", operands=[f"refs/tags/{name}", head])
            return super().__call__(*words, **options)

    plain, git = Git(tmp_path), Follows(tmp_path)
    plain("init", "-q")
    plain("commit", "-q", "--allow-empty", "-m", "empty")
    head, names = plain("rev-parse", "HEAD"), ["m@v1.0.0", "m#production#1"]
    make_tags(git, [NewTag(name=name, object=head) for name in names])
    assert sorted(plain("tag").split()) == sorted(names)
    other = plain("commit-tree", "-m", "another", operands=[f"{head}^{{tree}}"])
    with pytest.raises(LostRace, match="is here already, with other content"):
        make_tags(git, [NewTag(name=name, object=other) for name in names])
