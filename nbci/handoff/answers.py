"""Decode the kernel's answers about saving and loading values."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from nbci.errors import InfrastructureError, IntegrityError, Location
from nbci.handoff.values import ValueRef

if TYPE_CHECKING:
    from collections.abc import Mapping


class Refusal(Struct, frozen=True, kw_only=True):
    """Why values were not saved or loaded, in a sentence, and what to do about it."""

    kind: Literal["unsaveable", "missing", "exception"]
    message: str
    hint: str
    error: str | None = None


def encode_ref(ref: ValueRef) -> dict[str, Any]:
    """Return the JSON form in which the kernel takes and returns a reference."""
    return {
        "name": ref.name,
        "object": ref.object,
        "bytes": ref.bytes,
        "type": ref.type,
        "group": list(ref.group),
        "refs": list(ref.refs),
        "reads": list(ref.reads),
        "called": ref.called,
    }


def decode_ref(document: Mapping[str, Any]) -> ValueRef:
    """Return the reference that `encode_ref` or the kernel wrote."""
    return ValueRef(
        name=str(document["name"]),
        object=str(document["object"]),
        bytes=int(document["bytes"]),
        type=str(document["type"]),
        group=tuple(document["group"]),
        refs=tuple(document["refs"]),
        reads=tuple(document.get("reads", ())),
        called=bool(document.get("called", False)),
    )


# Loading raises these where a module, or a name in it, is not installed for this step. Any other
# error comes from the code of the value's own class.
_IMPORT_ERRORS = ("ImportError", "ModuleNotFoundError", "AttributeError")
_IMPORT_HINT = "this step's kernel must be able to import what the value is made of"
_RESTORE_HINT = (
    "a class in it raised while it was restored: "
    "see its `__setstate__`, or hand on what it is made from"
)


def decode_load(answer: Mapping[str, Any], sources: Mapping[str, str]) -> Refusal | None:
    """Return why values were not loaded, or None when all were.

    `sources` maps names to the steps that gave them. Raises IntegrityError when a file is missing
    or altered.
    """
    names = ", ".join(_name_with_source(name, sources) for name in answer.get("names", ()))

    # A file that is not what its digest says is no fault of the notebook's code: it is an error of
    # integrity, not a refusal of the step.
    if "integrity" in answer:
        problem, _, path = answer["integrity"].partition(": ")
        raise IntegrityError(
            f"the file of the value {names} is {problem}: {path}",
            hint="run the step that gives it again",
        )

    if "unloadable" not in answer:
        return None

    error = str(answer["unloadable"]).partition(":")[0]
    hint = _RESTORE_HINT
    if error in _IMPORT_ERRORS:
        hint = _IMPORT_HINT
    return Refusal(
        kind="exception",
        message=f"the value {names} cannot be loaded: {answer['unloadable']}",
        hint=hint,
        error=error,
    )


def decode_save(
    answer: Mapping[str, Any], step: str, consumers: Mapping[str, str]
) -> tuple[ValueRef, ...] | Refusal:
    """Return references to what was saved, or why nothing was.

    `consumers` maps names to the steps that need them. Raises InfrastructureError when a file
    could not be written.
    """
    if "gives" in answer:
        refs = map(decode_ref, answer["gives"])
        return tuple(sorted(refs, key=lambda ref: ref.name))
    if "missing" in answer:
        return _refuse_missing(answer["missing"], step, consumers)

    # A full or read-only disk says nothing about the value: another try may succeed.
    if "unwritten" in answer:
        problem = _describe_unsaved(answer["unwritten"], step, consumers, "written")
        raise InfrastructureError(
            f"{problem}: {answer['why']}",
            where=Location(str(answer["folder"])),
            hint="free space or make the folder writable, then try again",
        )

    # Files of values are kept and shared between machines, where no secret may lie.
    if "secret" in answer:
        problem = _describe_unsaved(answer["secret"], step, consumers)
        return Refusal(
            kind="unsaveable",
            message=f"{problem}: it contains the value of a secret",
            hint="declare the secret in the step that needs it, "
            "and read it there from the environment",
        )

    return _refuse_unsaveable(answer["unsaveable"], step, consumers)


def decode_lost(answer: Mapping[str, Any], consumers: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each change that cannot be handed on.

    The changes are those to what parameters, imports and functions cells made.
    """
    describe = partial(_describe_lost, consumers=consumers)
    return tuple(map(describe, answer.get("lost", ())))


def _describe_lost(change: Mapping[str, str], consumers: Mapping[str, str]) -> str:
    name = change["name"]
    later = "a later step"
    if consumers.get(name):
        later = f"step `{consumers[name]}`"
    # The kernel's reasons may end with a full stop of their own.
    why = change["why"].rstrip(".")
    return (
        f"the step changed `{name}` (type {change['type']}), which cannot be saved ({why}), so "
        f"{later} has it as its cell makes it; "
        "change it in an imports or functions cell, which every step runs"
    )


def _refuse_missing(names: list[str], step: str, consumers: Mapping[str, str]) -> Refusal:
    missing = ", ".join(f"`{name}`{_consumer_clause(name, consumers)}" for name in names)
    return Refusal(
        kind="missing",
        message=f"step `{step}` ended without {missing}",
        hint="assign it on every path through the step, or do not use it later",
    )


def _refuse_unsaveable(
    problems: list[Mapping[str, str]], step: str, consumers: Mapping[str, str]
) -> Refusal:
    sentences = []
    for problem in problems:
        why = problem["why"].rstrip(".")
        sentences.append(f"{_describe_unsaved([problem], step, consumers)}: {why}")

    return Refusal(
        kind="unsaveable",
        message=". ".join(sentences),
        hint="make it in the step that uses it, "
        "from things that can be saved (a path, the data, its settings)",
    )


def _describe_unsaved(
    problems: list[Mapping[str, str]], step: str, consumers: Mapping[str, str], what: str = "saved"
) -> str:
    values = []
    for problem in problems:
        name = problem["name"]
        values.append(f"`{name}` (type {problem['type']}){_consumer_clause(name, consumers)}")
    return f"{', '.join(values)}, made by step `{step}`, cannot be {what}"


def _consumer_clause(name: str, consumers: Mapping[str, str]) -> str:
    if name not in consumers:
        return ""
    return f", which step `{consumers[name]}` needs"


def _name_with_source(name: str, sources: Mapping[str, str]) -> str:
    if name not in sources:
        return f"`{name}`"
    return f"`{name}` (from step `{sources[name]}`)"
