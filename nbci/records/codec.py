"""Records as JSON and back.

NaN and the infinities are written as Python's `json` reads them (`NaN`, `Infinity`).
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from nbci.errors import IntegrityError, Location, UsageError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


def to_json(value: object) -> str:
    """Canonical JSON text of a record: keys in declaration order."""
    text = _encode(value)
    if text is not None:
        return msgspec.json.format(text, indent=1).decode() + "\n"
    return json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n"


def to_json_line(value: object) -> bytes:
    """The same on one line, for what a run writes with every step; lone surrogates pass."""
    text = _encode(value)
    if text is None:
        text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
    return text + b"\n"


def _encode(value: object) -> bytes | None:
    """The record as msgspec writes it; None where that would not be all that it holds.

    msgspec's JSON has no NaN and no lone surrogates.
    """
    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:
        return None
    # It may be what msgspec made of NaN: fields that are None are left out as their default.
    if b"null" in text:
        return None
    return text


def plain(value: object) -> Any:
    """The record as dicts, lists and scalars, as the JSON has them.

    Fields with their default are left out where the type says so.
    """
    return msgspec.to_builtins(value)


def from_json(text: str | bytes, kind: type[T], path: str) -> T:
    """Read a record of that kind.

    Raises IntegrityError naming `path` and the offending field when it is none.
    """
    with suppress(ValueError, msgspec.MsgspecError):
        return msgspec.json.decode(text, type=kind)
    # Slower, but it knows NaN, and tells what is wrong with the rest.
    try:
        return msgspec.convert(json.loads(text), kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise IntegrityError(
            f"this is no {kind.__name__} that nbci wrote: {error}", where=Location(path)
        ) from error


def refuse_other_format(text: bytes, known: int, what: str, path: Path) -> None:
    """Raise UsageError for a document of another format, IntegrityError for one without any.

    `what` is the document in words, `known` the format that this nbci reads.
    """
    where = Location(str(path))
    try:
        version = json.loads(text)["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"{what} is none that nbci wrote", where=where) from error
    if version != known:
        raise UsageError(
            f"{what} has format {version}, this nbci reads {known}",
            hint="use the same version of nbci everywhere",
            where=where,
        )
