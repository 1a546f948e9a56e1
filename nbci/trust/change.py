"""Builds of changes that come from a fork: what the environment says of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

UNTRUSTED = "NBCI_UNTRUSTED"
# it becomes a folder of the cache and of remotes: no `..`, and nothing that a shell would read
_PREFIX = re.compile(r"pr/[A-Za-z0-9][A-Za-z0-9._-]*")


class Change(NamedTuple):
    """A change whose code nobody has reviewed.

    Its builds keep things under `prefix`; it is to be merged into `branch`. A NamedTuple, since
    importing dataclasses takes time that a run with nothing to do does not have.
    """

    prefix: str
    branch: str | None


def change_of(environ: Mapping[str, str]) -> Change | None:
    """The change that is built; None in a trusted build.

    Jenkins sets CHANGE_FORK and CHANGE_ID in builds of pull requests from forks;
    NBCI_UNTRUSTED=pr/N says it elsewhere. CHANGE_TARGET is the branch.
    """
    named = environ.get(UNTRUSTED)
    # CHANGE_FORK is set for forks only; CHANGE_ID also for changes from the repository itself
    if not named and not environ.get("CHANGE_FORK"):
        return None
    prefix = named or f"pr/{environ.get('CHANGE_ID', '')}"
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            "a build of a fork keeps what it makes under its change's number, "
            f"and {prefix!r} is none",
            hint=f"{UNTRUSTED}=pr/17, or as Jenkins does it: CHANGE_FORK and CHANGE_ID=17",
        )
    return Change(prefix=prefix, branch=environ.get("CHANGE_TARGET") or None)
