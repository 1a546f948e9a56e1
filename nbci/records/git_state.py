"""What git had checked out; by itself, so that a run with nothing to do imports little."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """The commit that was checked out, and whether what git tracks, or the run was made from, differed from it."""

    commit: str | None
    branch: str | None
    dirty: bool
