"""Where steps may write, checked before anything runs.

The check comes first because what stands in an out's place is moved or removed for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.errors import Location, UsageError
from nbci.formatting.numbers import listed
from nbci.git.checkout import is_in_repository
from nbci.git.process import Git, GitFailed
from nbci.pipeline.paths import check_out, is_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbci.plan.model import PlannedStep

_SHOWN = 3


def check_places(root: Path, steps: Sequence[PlannedStep], kept: Sequence[Path]) -> None:
    """UsageError where an out may not be written.

    That is where it leaves the project through a link, or is a folder in which git tracks files.

    `kept` are folders of objects, to which nbci and DVC may have linked an out.
    """
    written: list[tuple[PlannedStep, str]] = []
    for step in steps:
        for path in step.writes:
            # the names of all steps, also of those that are skipped: a plan is right as a whole
            check_out(path, step.name, (), Location(step.notebook))
            if step.action != "skip":
                written.append((step, path))
    _refuse_links(root, written, kept)
    _refuse_tracked(root, written)


def _refuse_links(
    root: Path, written: Sequence[tuple[PlannedStep, str]], kept: Sequence[Path]
) -> None:
    # The place itself may be a link into a cache, since the run replaces it; its folder may not.
    inside = (os.path.realpath(root), *map(os.path.realpath, kept))
    # Many outs lie in one folder, and to resolve its links costs a system call for each part.
    known: dict[str, bool] = {}
    for step, path in written:
        place = os.path.join(root, path)
        folder = os.path.dirname(place)
        if folder not in known:
            known[folder] = is_in(os.path.realpath(folder), inside[:1])
        leads_out = not known[folder]
        if not leads_out and os.path.islink(place):
            leads_out = not is_in(os.path.realpath(place), inside)
        if leads_out:
            raise UsageError(
                f"the out {path} of step {step.name} leads out of the project through a link, to "
                f"{os.path.realpath(place)}",
                where=Location(step.notebook),
                hint="let the step write inside the project, or to a place that a parameter names",
            )


def _refuse_tracked(root: Path, written: Sequence[tuple[PlannedStep, str]]) -> None:
    folders = {path: step for step, path in written if os.path.isdir(root / path)}
    tracked = _tracked_files(root, sorted(folders))
    for path, step in folders.items():
        found = [name for name in tracked if name.startswith(f"{path}/")]
        if not found:
            continue
        raise UsageError(
            f"the folder {path} is an out of step {step.name}, which is cleared before it runs, "
            f"and git tracks files in it: {listed(found, _SHOWN)}",
            where=Location(step.notebook),
            hint="declare the files that the step writes (their folder is made for it), "
            "or a folder of its own; or let git forget them: git rm -r --cached",
        )


def _tracked_files(root: Path, folders: Sequence[str]) -> tuple[str, ...]:
    """The files in these folders that git tracks.

    Empty where there is no repository, or git refuses to tell.
    """
    if not folders or not is_in_repository(root):
        return ()
    # `:(literal)`: a path with `*` or `[` would else be a pattern for git.
    literal = [f":(literal){path}" for path in folders]
    try:
        names = Git(root)("ls-files", "-z", paths=literal)
    except (GitFailed, UsageError):
        # Steps can be run without git, and in a checkout of another user.
        return ()
    return tuple(filter(None, names.split("\0")))
