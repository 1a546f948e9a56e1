"""Publish tags all together or not at all: at the remote first, then here."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError, NbciError, UsageError
from nbci.git.process import REMOTE, GitFailed
from nbci.registry.read import fetch_models, read_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.git.process import Git
    from nbci.registry.events import Event, ModelState

_TRIES = 5
_PAUSE_SECONDS = 0.2
_AT_WORK = (
    "cannot lock ref",
    "failed to update ref",
    "failed to lock",
    "stale info",
    "already exists",
)
"""Words of git while another push holds the lock of a ref.

Which push wins the ref shows when the other one has ended, so the push is tried again.
"""
_REFUSED = (
    "hook declined",
    "protected",
    "not allowed",
    "prohibited",
    "denied",
    "unauthorized",
    "forbidden",
    "403",
)
_NO_ATOMIC = "does not support --atomic"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTag:
    """A tag that is to appear: its name, and the object that was written for it."""

    name: str
    object: str


class LostRace(InfrastructureError):
    """Another promotion was there first."""


def publish(git: Git, state: ModelState, tags: Sequence[NewTag], *, push: bool) -> None:
    """Publish the tags at the remote, if they are pushed, and then here.

    LostRace names the promotion that was first.
    """
    try:
        if push:
            push_tags(git, REMOTE, tags)
        make_tags(git, tags)
    # fetched afterwards, the tags of the other promotion name its run and its author
    except LostRace as error:
        raise LostRace(
            f"{error.message}{_winner(git, state, push)}",
            hint="nothing was changed; look at `nbci models`, and try again",
        ) from error


def _winner(git: Git, state: ModelState, push: bool) -> str:
    """Describe what the other promotion did, as far as it can be known."""
    if push:
        try:
            # the other promotion came from another clone, so its tags are not here
            fetch_models(git, REMOTE, [state.model])
        except NbciError:
            return ""
    known = {event.tag for event in state.events}
    new: dict[str, Event] = {}
    for event in read_events(git):
        if event.model == state.model and event.tag not in known:
            new[event.tag] = event
    if not new:
        return ""
    last = list(new.values())[-1]
    winner = f": {last.name} set {', '.join(new)}"
    # a demotion and a rollback belong to no run
    run = last.notes.get("Nbci-Run")
    if run:
        winner += f" for run {run}"
    return winner


def push_tags(git: Git, remote: str, tags: Iterable[NewTag]) -> None:
    """Create all of the tags at the remote, or none.

    A tag that is there with the same content stays as it is. LostRace when one of them is there
    already with other content, UsageError when the remote refuses them.
    """
    tags = list(tags)
    for tries_left in reversed(range(_TRIES)):
        failure = _push(git, remote, tags)
        if failure is None:
            return
        # the answer to a push may be lost after the remote has done it, so the remote is asked
        lacking, taken = _lacking_and_taken(git, remote, tags)
        # what is there tells who won; git's words for it change with the moment at which the other
        # one came
        if taken:
            raise LostRace(
                f"another promotion was there first: {remote} has {', '.join(taken)}"
            ) from failure
        if not lacking:
            return
        if not tries_left or not any(words in failure.complaint for words in _AT_WORK):
            raise _refusal(remote, failure) from failure
        time.sleep(_PAUSE_SECONDS)


def _push(git: Git, remote: str, tags: Sequence[NewTag]) -> GitFailed | None:
    # an empty expected value means: only if the remote has no such tag
    # https://git-scm.com/docs/git-push#Documentation/git-push.txt---force-with-leaserefnameexpect
    leases = []
    refspecs = []
    for tag in tags:
        leases.append(f"--force-with-lease=refs/tags/{tag.name}:")
        refspecs.append(f"{tag.object}:refs/tags/{tag.name}")
    try:
        git("push", "--atomic", "--porcelain", *leases, operands=[remote, *refspecs])
    except GitFailed as error:
        return error
    return None


def _lacking_and_taken(
    git: Git, remote: str, tags: Sequence[NewTag]
) -> tuple[list[str], list[str]]:
    """The tags that the remote does not have, and those that it has with other content.

    Where it does not answer, it counts as having none.
    """
    there: dict[str, str] = {}
    with contextlib.suppress(GitFailed):
        there = git.remote_tags(remote, [f"refs/tags/{tag.name}" for tag in tags])
    lacking: list[str] = []
    taken: list[str] = []
    for tag in tags:
        if tag.name not in there:
            lacking.append(tag.name)
        elif there[tag.name] != tag.object:
            taken.append(tag.name)
    return lacking, taken


def make_tags(git: Git, tags: Iterable[NewTag]) -> None:
    """Create the tags here, all or none; LostRace when one is here with other content."""
    tags = list(tags)
    missing = _missing_here(git, tags)
    if not missing:
        return
    commands = [f"create refs/tags/{tag.name} {tag.object}\n" for tag in missing]
    try:
        # update-ref applies its input as one transaction
        git("update-ref", "--stdin", stdin="".join(commands))
    except GitFailed as error:
        if "reference already exists" not in error.complaint:
            raise
        # a server in this checkout that follows the stage fetches them as soon as they are pushed
        try:
            left = _missing_here(git, tags)
        except LostRace:
            left = missing
        if len(left) == len(missing):
            raise LostRace("another promotion made the same tag here first") from error
        make_tags(git, left)


def _missing_here(git: Git, tags: Sequence[NewTag]) -> list[NewTag]:
    """Those that are not here yet; LostRace when one is here with other content."""
    missing = []
    for tag in tags:
        present = git.get("rev-parse", "--verify", "--quiet", operands=[f"refs/tags/{tag.name}"])
        if present is None:
            missing.append(tag)
        elif present != tag.object:
            raise LostRace(f"the tag {tag.name} is here already, with other content")
    return missing


def _refusal(remote: str, error: GitFailed) -> Exception:
    """Return why a push failed; the order is that in which answers of git can be distinguished."""
    complaint = error.complaint
    if _NO_ATOMIC in complaint:
        return UsageError(
            f"{remote} cannot take several tags as one change, which a release needs",
            hint="update the git server",
        )
    # the words of the remote come first: a hook explains there why it declines
    parts = (_remote_words(complaint), _rejections(complaint))
    reason = "; ".join(filter(None, parts)) or error.message
    if any(word in complaint.lower() for word in _REFUSED):
        return UsageError(
            f"{remote} refuses the tags: {reason}",
            hint="nothing was changed; ask who keeps the repository for the right",
        )
    return InfrastructureError(
        f"the tags could not be pushed to {remote}: {reason}",
        hint="nothing was changed; try again",
    )


def _remote_words(complaint: str) -> str:
    """What programs at the remote printed, such as its hooks; git puts `remote:` before it."""
    lines = []
    for line in complaint.splitlines():
        if line.startswith("remote: "):
            lines.append(line.removeprefix("remote:").strip())
    return "; ".join(lines)


def _rejections(complaint: str) -> str:
    """Why the tags were rejected; mostly one reason for all, since the push is atomic."""
    reasons = re.findall(r"\[(?:remote )?rejected\].*?\((.*?)\)", complaint)
    return "; ".join(dict.fromkeys(reasons))
