"""Records as JSON and back. NaN and the infinities are written as Python's `json` reads them (`NaN`, `Infinity`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from nbci.errors import IntegrityError, Location
from nbci.records.model import WRITTEN

T = TypeVar("T")


def to_json(value: object) -> str:
    """Canonical JSON text of a record: keys in declaration order."""
    return json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n"


def to_json_line(value: object) -> str:
    """The same on one line, which takes a tenth of the time: for what a run writes with every step."""
    return json.dumps(plain(value), ensure_ascii=False) + "\n"


_AS_THEY_ARE = frozenset((str, int, float, bool, type(None)))


def plain(value: object) -> Any:
    """The record as dicts, lists and scalars; fields with their default are left out, unless they are `WRITTEN`."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if is_dataclass(kind):
        return {name: plain(item) for name, default in _fields(kind) if (item := getattr(value, name)) != default}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    """The fields of a record with the values that are left out; MISSING where none is."""
    return tuple((field.name, MISSING if field.metadata == WRITTEN else field.default) for field in fields(kind))


def from_json(text: str | bytes, kind: type[T], path: str) -> T:
    """Read a record of that kind; IntegrityError naming `path` and the offending field when it is none."""
    import msgspec

    with suppress(ValueError, msgspec.MsgspecError):
        return msgspec.json.decode(text, type=kind)
    try:  # slower; it knows NaN, and tells what is wrong with the rest
        return msgspec.convert(json.loads(text), kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise IntegrityError(f"this is no {kind.__name__} that nbci wrote: {error}", where=Location(path)) from error
