"""Which branch was built, and whose champion counts there: gates and promotions have to agree on
both.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def built_branch(checked_out: str | None, environ: Mapping[str, str]) -> str | None:
    """The branch that was built; where none is checked out, as on CI, what the variables of Jenkins
    say.
    """
    if checked_out is not None:
        return checked_out
    named = (
        environ.get("BRANCH_NAME") or environ.get("GIT_BRANCH") or environ.get("GIT_LOCAL_BRANCH")
    )
    return named.removeprefix("refs/heads/").removeprefix("origin/") if named else None


def allows(branches: Sequence[str], branch: str) -> bool:
    """Whether the branch is one of these, or fits one of their patterns."""
    return any(fnmatch.fnmatchcase(branch, pattern) for pattern in branches)


def champions_branch(branches: Sequence[str], branch: str | None) -> str | None:
    """The branch whose champion a build compares with: its own where that promotes, else the first
    that does.

    None, any branch, for a model that names none.
    """
    if branches and branch is not None and allows(branches, branch):
        return branch
    return next((name for name in branches if not set(name) & set("*?[")), None)
