"""Find the facts of a promotion: the branch, and who promotes.

The branch must be one from which the model may be promoted.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.git.branches import allows
from nbci.git.process import GitFailed
from nbci.records.manifest import Promoter
from nbci.runs.run_file import user_name
from nbci.trust.change import change_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.git.process import Git

_NO_IDENTITY_HINT = (
    'git config --global user.name "Your Name"; git config --global user.email you@example.com\n'
    "or, on a build machine, set GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL"
)


class ElsewhereError(UsageError):
    """Models are not promoted from what was built: a change, or another branch."""


def check_branch(
    model: str, branches: Sequence[str], branch: str | None, environ: Mapping[str, str]
) -> None:
    """Raise ElsewhereError when models are not promoted from this build.

    `branches` may hold patterns such as `release/*`.
    """
    untrusted = change_of(environ)
    # Jenkins sets CHANGE_ID in the build of a pull request
    change = environ.get("CHANGE_ID")
    if not change and untrusted is not None:
        change = untrusted.prefix
    allowed = ", ".join(branches)
    if change:
        target = environ.get("CHANGE_TARGET")
        hint = "merge the change first"
        if target:
            hint = f"promote the build of {target} once the change is merged"
        raise ElsewhereError(
            f"this is the build of change {change}; "
            f"{model} is promoted from {allowed or 'branches'} only",
            hint=hint,
        )
    if not branches:
        return
    if branch is None:
        raise UsageError(
            f"no branch is checked out, and {model} is promoted from {allowed} only",
            hint="check the branch out, or say what was built: BRANCH_NAME=main nbci promote ...",
        )
    if not allows(branches, branch):
        raise ElsewhereError(
            f"{model} is promoted from {allowed} only, and this is {branch}",
            hint="`branches` of the model in the pipeline file says so",
        )


def find_promoter(git: Git, environ: Mapping[str, str]) -> Promoter:
    """Return who sets the tags.

    UsageError when neither the environment nor git's configuration says it: a name that git derives
    from the machine's is no evidence.
    """
    name = environ.get("GIT_COMMITTER_NAME") or git.get("config", "user.name")
    email = (
        environ.get("GIT_COMMITTER_EMAIL")
        or environ.get("EMAIL")
        or git.get("config", "user.email")
    )
    if not name or not email:
        missing = []
        if not name:
            missing.append("name")
        if not email:
            missing.append("email")
        raise UsageError(
            f"git does not know your {' and '.join(missing)}, and a release says who made it",
            hint=_NO_IDENTITY_HINT,
        )
    try:
        # git itself applies its rules for names, such as the removal of < and >
        shown = git("var", "GIT_COMMITTER_IDENT")
    except GitFailed as error:
        raise UsageError(
            f"git refuses the identity: {error.message}", hint=_NO_IDENTITY_HINT
        ) from error
    name, _, rest = shown.partition(" <")
    return Promoter(name=name, email=rest.partition(">")[0], user=user_name(), host=platform.node())
