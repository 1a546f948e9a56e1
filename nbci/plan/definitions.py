"""Definitions of imports and functions cells that values refer to, as parts of a step's key.

Classes and functions of these cells are saved by name, so the bytes of a value stay the same when
they change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.prelude import names_bound_by
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
    known = params | names_bound_by(kept)
    found = []
    for statement in kept:
        # Methods and recursive functions mention themselves, which leads nowhere.
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
    any_name = bool(names.any_name)
    for bodies in names.definitions.values():
        for body in bodies:
            any_name = any_name or bool(body.any_name)
    if any_name:
        return statement.mentions | params
    return statement.mentions


def reach_definitions(
    known: Sequence[Definition], names: Iterable[str], params: frozenset[str]
) -> Reached:
    """What the names lead to, directly or through other definitions."""
    binders: dict[str, list[int]] = {}
    for at, definition in enumerate(known):
        for name in definition.binds:
            binders.setdefault(name, []).append(at)

    pending = list(names)
    seen: set[str] = set()
    found: set[int] = set()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            for at in binders.get(name, ()):
                found.add(at)
                pending.extend(known[at].mentions)

    # In the notebook's order, so that equal definitions give equal keys.
    parts = tuple(known[at].part for at in sorted(found))
    return Reached(parts=parts, params=params & seen)
