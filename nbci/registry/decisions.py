"""Keep decisions in git: a chain of commits at `refs/nbci/decisions/MODEL` that only grows.

Each commit holds one decision as it stood after one event, in `decision.json`. Whoever pushes first
has decided: git takes a child of what is there and nothing else, which is all that machines need to
agree. Branches and tags are not touched, so that no stock tool meets any of it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from nbci.commands import checked_operand
from nbci.errors import InfrastructureError, IntegrityError, Location, UsageError
from nbci.git.process import REMOTE, GitFailed
from nbci.records.codec import from_json, to_json
from nbci.records.decision import FORMAT, Decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.git.process import Git
    from nbci.records.manifest import Promoter

_FOLDER = "refs/nbci/decisions"
_FILE = "decision.json"
_NO_COMMIT = "0" * 40
# Words of git while another push holds the ref: which of them wins shows in a moment.
_AT_WORK = ("cannot lock ref", "failed to update ref", "failed to lock", "incorrect old value")


class LostTurn(InfrastructureError):
    """Another decision was pushed first: what it changes has to be looked at."""


def decisions_ref(model: str) -> str:
    """Where the decisions of a model are.

    >>> decisions_ref("folder:wine")
    'refs/nbci/decisions/folder=wine'
    """
    return f"{_FOLDER}/{model.replace(':', '=')}"


def read_decisions(git: Git, model: str, tip: str | None = None) -> tuple[Decision, ...]:
    """The decisions as they stand now, in the order in which they were made.

    IntegrityError where the ref holds anything else, UsageError for a newer format.
    """
    ref = decisions_ref(model)
    tip = tip or git.get("rev-parse", "--verify", "--quiet", operands=[ref])
    if tip is None:
        return ()
    try:
        listed = git("rev-list", "--first-parent", "--reverse", operands=[f"{tip}^{{commit}}"])
    except GitFailed as error:
        raise _garbage(ref, "it names no commit") from error
    # One process for all of them, however long the chain is.
    wanted = "".join(f"{commit}:{_FILE}\n" for commit in listed.splitlines())
    printed = git.bytes("cat-file", "--batch", stdin=wanted)
    found: dict[str, Decision] = {}
    for text in _blobs(printed, ref):
        decision = _parse(text, model, ref)
        # The place of the first, the content of the last: a later record has all events before.
        found[decision.id] = decision
    return tuple(found.values())


def _blobs(printed: bytes, ref: str) -> list[bytes]:
    """The contents that `git cat-file --batch` printed one after another."""
    texts = []
    rest = printed
    while rest:
        head, _, rest = rest.partition(b"\n")
        words = head.split()
        if len(words) != 3 or words[1] != b"blob":
            raise _garbage(ref, f"a commit of it has no {_FILE}")
        # A record may hold line breaks: only its size tells where it ends.
        size = int(words[2])
        texts.append(rest[:size])
        rest = rest[size + 1 :]
    return texts


def _parse(text: bytes, model: str, ref: str) -> Decision:
    try:
        number = json.loads(text)["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise _garbage(ref, f"a {_FILE} of it is none that nbci wrote") from error
    if number != FORMAT:
        raise UsageError(
            f"a decision on {model} has format {number}, this nbci reads {FORMAT}",
            hint="use the same version of nbci everywhere",
            where=Location(ref),
        )
    decision = from_json(text, Decision, ref)
    try:
        for event in decision.events:
            datetime.fromisoformat(event.at_utc)
    except ValueError as error:
        # Limits count from it.
        raise _garbage(ref, f"decision {decision.id} has no times") from error
    # A ref that was copied under another name decides nothing there.
    if decision.model != model:
        raise _garbage(ref, f"it has a decision on {decision.model}")
    return decision


def _garbage(ref: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"this is no chain of decisions: {what}",
        where=Location(ref),
        hint=f"git log {ref} shows what is there; find out who wrote it",
    )


def fetch_decisions(git: Git, model: str) -> str | None:
    """Bring what `origin` has of a model's decisions; the tip that counts, None without any.

    What is here and was never pushed stays. GitFailed when the remote cannot be reached,
    IntegrityError when both have what the other has not.
    """
    ref = decisions_ref(model)
    here = git.get("rev-parse", "--verify", "--quiet", operands=[ref])
    if not git.has_remote(REMOTE):
        return here
    there = _remote_tip(git, ref)
    if there is None or there == here:
        return here
    if git.get("cat-file", "-e", operands=[there]) is None:
        # No depth: the chain has a root of its own, so that it is whole in a shallow clone, too.
        git("fetch", "--no-tags", "--no-write-fetch-head", operands=[REMOTE, ref])
    # A clone from before there was a remote may have a chain of its own.
    if here is not None and not _is_ancestor(git, here, there):
        if _is_ancestor(git, there, here):
            return here
        raise IntegrityError(
            f"the decisions on {model} here are not those of {REMOTE}",
            where=Location(ref),
            hint=f"to take those of {REMOTE}: git fetch {REMOTE} +{ref}:{ref}",
        )
    git("update-ref", operands=[ref, there, here or _NO_COMMIT])
    return there


def _remote_tip(git: Git, ref: str) -> str | None:
    listed = git("ls-remote", operands=[REMOTE, ref])
    for line in listed.splitlines():
        digest, _, name = line.partition("\t")
        if name == ref:
            return digest
    return None


def _is_ancestor(git: Git, one: str, other: str) -> bool:
    return git.get("merge-base", "--is-ancestor", operands=[one, other]) is not None


def add_decision(git: Git, decision: Decision, tip: str | None, *, by: Promoter) -> str:
    """Append the decision as it stands now to the chain that ends at `tip`; the new tip.

    It is pushed first and here afterwards. LostTurn when the chain has another end by now.
    """
    ref = decisions_ref(decision.model)
    commit = _write(git, decision, tip, by)
    if git.has_remote(REMOTE):
        _push(git, ref, commit, tip)
    try:
        git("update-ref", operands=[ref, commit, tip or _NO_COMMIT])
    except GitFailed as error:
        if git.get("rev-parse", "--verify", "--quiet", operands=[ref]) == commit:
            return commit
        raise LostTurn("another decision was made here first") from error
    return commit


def _write(git: Git, decision: Decision, tip: str | None, by: Promoter) -> str:
    # Without filters: the text is stored as it is, whatever .gitattributes says.
    blob = git("hash-object", "-w", "--stdin", "--no-filters", stdin=to_json(decision))
    tree = git("mktree", "-z", stdin=f"100644 blob {blob}\t{_FILE}\0")
    words = ["commit-tree", "-F-"]
    if tip is not None:
        words.append(f"-p{checked_operand(tip)}")
    return git(*words, operands=[tree], stdin=_message(decision), environ=_identity(by))


def _message(decision: Decision) -> str:
    last = decision.last
    if last is None:
        return f"{decision.model}: decided\n"
    text = f"{decision.model}: {last.kind}\n\n{last.sentence}\n\nNbci-Decision: {decision.id}\n"
    if last.run:
        text += f"Nbci-Run: {last.run}\n"
    return text


def _identity(by: Promoter) -> Mapping[str, str]:
    return {
        "GIT_AUTHOR_NAME": by.name,
        "GIT_AUTHOR_EMAIL": by.email,
        "GIT_COMMITTER_NAME": by.name,
        "GIT_COMMITTER_EMAIL": by.email,
    }


def _push(git: Git, ref: str, commit: str, tip: str | None) -> None:
    try:
        # no force: git refuses what is no child of the remote's tip
        git("push", operands=[REMOTE, f"{commit}:{ref}"])
    except GitFailed as error:
        # The answer may be lost after the remote has done it; what is there tells who was first,
        # git's words for it change with the moment.
        there = _remote_tip(git, ref)
        if there == commit:
            return
        is_at_work = any(word in error.complaint for word in _AT_WORK)
        if is_at_work or (there is not None and there != tip and not _is_behind(git, there, tip)):
            raise LostTurn(f"another decision was pushed to {REMOTE} first") from error
        raise


def _is_behind(git: Git, there: str, tip: str | None) -> bool:
    """Whether the remote has only what is here, too: then it refused for another reason."""
    return tip is not None and _is_ancestor(git, there, tip)
