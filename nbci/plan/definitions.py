"""Definitions of imports and functions cells that values refer to, as parts of a step's key.

Classes and functions of these cells travel by name, so bytes of a value do not change with them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.plan.model import Definition
from nbci.plan.parts import statement_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.dataflow.prelude import Statement
    from nbci.records.run_record import Part


class Reached(Struct, frozen=True, kw_only=True):
    """The parts of the definitions that some names lead to, and the parameters that those read."""

    parts: tuple[Part, ...] = ()
    params: frozenset[str] = frozenset()


def definitions(prelude: Iterable[Statement], params: frozenset[str]) -> tuple[Definition, ...]:
    """The imports and definitions of a notebook, for its plan.

    All other statements run in every step, so they count in its key anyway.
    """
    kept = [statement for statement in prelude if statement.kind != "other" and statement.binds]
    known = params.union(*(statement.binds for statement in kept))
    found = []
    for statement in kept:
        mentions = _mentions(statement, params) & known - statement.binds
        found.append(
            Definition(
                binds=tuple(sorted(statement.binds)),
                mentions=tuple(sorted(mentions)),
                part=statement_part(statement),
            )
        )
    return tuple(found)


def _mentions(statement: Statement, params: frozenset[str]) -> frozenset[str]:
    """The names in the statement; all parameters, too, where using what it defines may read any."""
    names = statement.names
    bodies = itertools.chain.from_iterable(names.definitions.values())
    if names.any_name or any(body.any_name for body in bodies):
        return statement.mentions | params
    return statement.mentions


def reached(known: Sequence[Definition], names: Iterable[str], params: frozenset[str]) -> Reached:
    """What the names lead to, directly or through other definitions."""
    binders: dict[str, list[int]] = {}
    for at, definition in enumerate(known):
        for name in definition.binds:
            binders.setdefault(name, []).append(at)
    pending, seen, found = list(names), set[str](), set[int]()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            for at in binders.get(name, ()):
                found.add(at)
                pending.extend(known[at].mentions)
    return Reached(parts=tuple(known[at].part for at in sorted(found)), params=params & seen)
