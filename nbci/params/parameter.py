"""A parameter as declared, and as a run has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbci.errors import Location
    from nbci.params.types import ParameterType


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter as a notebook or a pipeline file declares it; `source` is that file's path."""

    name: str
    default: Any
    type: ParameterType
    source: str
    help: str | None = None
    where: Location | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundParameter:
    """A parameter with its value; `source` says where that came from: a file's path, `-p`, `environment NAME`."""

    name: str
    value: Any
    source: str
    overridden: bool
