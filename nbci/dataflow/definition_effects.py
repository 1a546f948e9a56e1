"""What using a function, a class or an instance does to names, kept for where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace


class Position(Struct, frozen=True, kw_only=True):
    """A place in code: the index of the cell in the sequence (from 0), the line in it (from 1)."""

    cell: int
    line: int


class Body(Struct, frozen=True, kw_only=True):
    """What using a function, a class or an instance of one reads and binds.

    `surely_reads` and `surely_calls` are certain when it is called. `kind` tells whether calling
    the name runs exactly this (a function), or makes or uses an instance.
    """

    kind: str
    reads: frozenset[str] = frozenset()
    surely_reads: frozenset[str] = frozenset()
    surely_calls: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    unbinds: frozenset[str] = frozenset()
    uncertain: tuple[str, ...] = ()
    any_name: tuple[str, ...] = ()

    def without_certainty(self) -> Body:
        """The same where the name may stand for something else when it is called."""
        return replace(self, surely_reads=frozenset(), surely_calls=frozenset())


def has_class(bodies: Iterable[Body]) -> bool:
    """Whether one of them is of a class, so that a call makes an instance."""
    return any(body.kind == "class" for body in bodies)


def without_certainty(bodies: Iterable[Body]) -> tuple[Body, ...]:
    """The same where it is not certain that a call runs these."""
    return tuple(map(Body.without_certainty, bodies))


Definitions = Mapping[str, tuple[Body, ...]]
NONE_KNOWN: Definitions = MappingProxyType({})


class Reached(Struct):
    """All that using a name may do, through everything it uses in turn."""

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    unbinds: set[str] = field(default_factory=set)
    uncertain: set[str] = field(default_factory=set)
    any_name: set[str] = field(default_factory=set)
