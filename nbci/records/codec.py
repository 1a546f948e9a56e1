"""Records as JSON and back. NaN and the infinities are written as Python's `json` reads them (`NaN`, `Infinity`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
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


def plain(value: object) -> Any:
    """The record as dicts, lists and scalars; fields with their default are left out, unless they are `WRITTEN`."""
    if is_dataclass(value):
        return {
            field.name: plain(item)
            for field in fields(value)
            if (item := getattr(value, field.name)) != field.default
            or field.default is MISSING
            or field.metadata == WRITTEN
        }
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def from_json(text: str | bytes, kind: type[T], path: str) -> T:
    """Read a record of that kind; IntegrityError naming `path` and the offending field when it is none."""
    import msgspec

    try:
        return msgspec.convert(json.loads(text), kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise IntegrityError(f"this is no {kind.__name__} that nbci wrote: {error}", where=Location(path)) from error
