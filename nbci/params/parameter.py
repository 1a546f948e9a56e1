"""A parameter as declared, and as a run has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from nbci.errors import Location
    from nbci.params.types import ParameterType


class Parameter(Struct, frozen=True, kw_only=True):
    """A parameter as a notebook or a pipeline file declares it; `source` is that file's path."""

    name: str
    default: Any
    type: ParameterType
    source: str
    help: str | None = None
    where: Location | None = None


class BoundParameter(Struct, frozen=True, kw_only=True):
    """A parameter with its value.

    `source` says where that came from: a file's path, `-p`, `environment NAME`.
    """

    name: str
    value: Any
    source: str
    overridden: bool
