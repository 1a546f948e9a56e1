"""Which branch was built, and whose champion counts there.

Gates and promotions have to agree on both.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def built_branch(checked_out: str | None, environ: Mapping[str, str]) -> str | None:
    """The branch that was built; where none is checked out, the one that Jenkins' variables name.

    A multibranch job sets BRANCH_NAME, the git plugin the others; CI checks commits out, not
    branches.
    """
    if checked_out is not None:
        return checked_out
    for variable in ("BRANCH_NAME", "GIT_BRANCH", "GIT_LOCAL_BRANCH"):
        named = environ.get(variable)
        if named:
            # GIT_BRANCH of a single-branch job is `origin/main`
            return named.removeprefix("refs/heads/").removeprefix("origin/")
    return None


def allows(branches: Sequence[str], branch: str) -> bool:
    """Whether the branch is one of these, or fits one of their patterns."""
    return any(fnmatch.fnmatchcase(branch, pattern) for pattern in branches)


def champions_branch(branches: Sequence[str], branch: str | None) -> str | None:
    """The branch whose champion a build compares with.

    Its own where that promotes, else the first that does. None, any branch, for a model that names
    none.
    """
    if branches and branch is not None and allows(branches, branch):
        return branch
    for name in branches:
        # a pattern such as `release/*` names no branch to look at
        if not set(name) & set("*?["):
            return name
    return None
