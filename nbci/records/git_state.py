"""What git had checked out; by itself, so that a run with nothing to do imports little."""

from __future__ import annotations

from msgspec import Struct


class GitState(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The commit that was checked out.

    `dirty`: what git tracks, or what the run was made from, differed from it.
    """

    commit: str | None
    branch: str | None
    dirty: bool
