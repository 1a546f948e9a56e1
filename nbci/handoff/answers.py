"""What the kernel says about saving and loading values, decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from nbci.errors import InfrastructureError, IntegrityError, Location
from nbci.handoff.values import ValueRef

if TYPE_CHECKING:
    from collections.abc import Mapping


class Refusal(Struct, frozen=True, kw_only=True):
    """Why values were not saved or loaded: what is the matter, in a sentence, and what to do."""

    kind: Literal["unsaveable", "missing", "exception"]
    message: str
    hint: str
    error: str | None = None


def encode_ref(ref: ValueRef) -> dict[str, Any]:
    """The JSON form in which the kernel takes a reference, and gives it back."""
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
    """The reference that `encode_ref` or the kernel wrote."""
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


_OF_IMPORTS = ("ImportError", "ModuleNotFoundError", "AttributeError")
_TO_IMPORT = "this step's kernel must be able to import what the value is made of"
_TO_RESTORE = "a class in it raised while it was restored: see its `__setstate__`, or hand on what it is made from"


def decode_load(answer: Mapping[str, Any], givers: Mapping[str, str]) -> Refusal | None:
    """None when all values were loaded; `givers` maps names to the steps that gave them.

    Raises IntegrityError when a file is gone or not what it was.
    """
    names = ", ".join(f"`{name}`{_from(name, givers)}" for name in answer.get("names", ()))
    if "integrity" in answer:
        problem, _, path = answer["integrity"].partition(": ")
        raise IntegrityError(
            f"the file of the value {names} is {problem}: {path}",
            hint="run the step that gives it again",
        )
    if "unloadable" in answer:
        error = str(answer["unloadable"]).partition(":")[0]
        return Refusal(
            kind="exception",
            message=f"the value {names} cannot be loaded: {answer['unloadable']}",
            hint=_TO_IMPORT if error in _OF_IMPORTS else _TO_RESTORE,
            error=error,
        )
    return None


def decode_save(
    answer: Mapping[str, Any], step: str, consumers: Mapping[str, str]
) -> tuple[ValueRef, ...] | Refusal:
    """The references of what was saved, or why nothing was; `consumers` maps names to the steps
    that need them.
    """
    if "gives" in answer:
        return tuple(sorted((decode_ref(ref) for ref in answer["gives"]), key=lambda ref: ref.name))
    if "missing" in answer:
        return _missing(answer["missing"], step, consumers)
    if "unwritten" in answer:
        raise InfrastructureError(
            f"{_named(answer['unwritten'], step, consumers, 'written')}: {answer['why']}",
            where=Location(str(answer["folder"])),
            hint="free space or make the folder writable, then try again",
        )
    if "secret" in answer:
        return Refusal(
            kind="unsaveable",
            message=f"{_named(answer['secret'], step, consumers)}: it contains the value of a secret",
            hint="declare the secret in the step that needs it, and read it there from the environment",
        )
    problems = answer["unsaveable"]
    return Refusal(
        kind="unsaveable",
        message=". ".join(
            f"{_named([problem], step, consumers)}: {problem['why'].rstrip('.')}"
            for problem in problems
        ),
        hint="make it in the step that uses it, from things that can be saved (a path, the data, its settings)",
    )


def decode_lost(answer: Mapping[str, Any], consumers: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each change to what parameters, imports and functions cells made that cannot
    be handed on.
    """
    return tuple(_lost(one, consumers) for one in answer.get("lost", ()))


def _lost(one: Mapping[str, str], consumers: Mapping[str, str]) -> str:
    consumer = consumers.get(one["name"])
    later = f"step `{consumer}`" if consumer else "a later step"
    return (
        f"the step changed `{one['name']}` (type {one['type']}), which cannot be saved ({one['why'].rstrip('.')}), so "
        f"{later} has it as its cell makes it; change it in an imports or functions cell, which every step runs"
    )


def _named(
    problems: list[Mapping[str, str]], step: str, consumers: Mapping[str, str], what: str = "saved"
) -> str:
    said = [
        f"`{problem['name']}` (type {problem['type']}){_needed(problem['name'], consumers)}"
        for problem in problems
    ]
    return f"{', '.join(said)}, made by step `{step}`, cannot be {what}"


def _needed(name: str, consumers: Mapping[str, str]) -> str:
    return f", which step `{consumers[name]}` needs" if name in consumers else ""


def _from(name: str, givers: Mapping[str, str]) -> str:
    return f" (from step `{givers[name]}`)" if name in givers else ""


def _missing(names: list[str], step: str, consumers: Mapping[str, str]) -> Refusal:
    said = ", ".join(f"`{name}`{_needed(name, consumers)}" for name in names)
    return Refusal(
        kind="missing",
        message=f"step `{step}` ended without {said}",
        hint="assign it on every path through the step, or do not use it later",
    )
