"""Finds the module-level names that code binds and needs.

They are what a step makes, and what must be there before it runs.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.definition_effects import (
    NONE_KNOWN,
    Body,
    Definitions,
    Position,
    without_certainty,
)
from nbci.dataflow.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.dataflow.code import ParsedCell

__all__ = ["Body", "Definitions", "Names", "Position", "names_of"]


_TOO_DEEP = "the code is nested too deeply to follow"


class Names(Struct, frozen=True, kw_only=True):
    """What code does with the names of its module.

    `binds` may have a value from this code at its end, `surely_binds` have one on every path
    without an exception; `imports` are those of `binds` that only imports bind, `changes` have
    their items or attributes assigned. `unbinds` are surely deleted at the end, `may_unbind`
    perhaps. `needs` may be read before the code binds them, in the functions that it uses too;
    `surely_needs` are certain. `assumes` are builtin names that the code reads before it binds
    them. `any_name` says why the code may read names that stand nowhere in it; `in_text` are those
    in formulas and queries. `definitions`: what using the functions, classes and their instances
    that the code makes reads and binds in turn.
    """

    binds: frozenset[str] = frozenset()
    surely_binds: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    unbinds: frozenset[str] = frozenset()
    may_unbind: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    surely_needs: frozenset[str] = frozenset()
    assumes: frozenset[str] = frozenset()
    mentions: frozenset[str] = frozenset()
    first_use: Mapping[str, Position]
    uncertain: tuple[str, ...] = ()
    any_name: tuple[str, ...] = ()
    in_text: frozenset[str] = frozenset()
    definitions: Definitions
    future_annotations: bool = False


def names_of(
    cells: Sequence[ParsedCell],
    *,
    known: Definitions = NONE_KNOWN,
    future_annotations: bool = False,
) -> Names:
    """The names of the cells, run one after the other.

    `known` are definitions that other code made before.
    """
    try:
        walk = Walk(known=known, future_annotations=future_annotations)
        walk.run(cells)
        # An earlier line of the loop may use, in its next pass, what a later line defines.
        if walk.defines_in_loop:
            later = dict(known)
            for name, bodies in walk.kept_definitions().items():
                later[name] = without_certainty(bodies)
            walk = Walk(known=later, future_annotations=future_annotations)
            walk.run(cells)
    # The visitor needs a few Python frames for each level of the syntax tree.
    except RecursionError:
        return _names_of_deep_code(cells)
    return _names(walk)


def _names(walk: Walk) -> Names:
    binds = set(walk.state.maybe)
    unbound = set(walk.bound_and_unbound()[1])
    # A later step may call the function: then it binds and deletes there.
    for bodies in walk.definitions.values():
        for body in bodies:
            binds |= body.binds
            unbound |= body.unbinds
    surely_binds: frozenset[str] = frozenset()
    if not walk.state.dead:
        surely_binds = frozenset(walk.state.sure)
    return Names(
        binds=frozenset(binds),
        surely_binds=surely_binds,
        imports=frozenset(binds & walk.imported - walk.assigned),
        changes=frozenset(walk.changes),
        unbinds=frozenset(walk.state.gone - binds),
        may_unbind=frozenset(unbound - walk.state.sure),
        needs=frozenset(walk.needs),
        surely_needs=frozenset(walk.surely),
        assumes=frozenset(walk.assumes),
        mentions=frozenset(walk.mentions),
        first_use=dict(walk.needs),
        uncertain=tuple(dict.fromkeys(walk.uncertain)),
        any_name=tuple(dict.fromkeys(walk.any_name)),
        in_text=frozenset(walk.in_text),
        definitions=walk.kept_definitions(),
        future_annotations=walk.future_annotations,
    )


def _names_of_deep_code(cells: Sequence[ParsedCell]) -> Names:
    """For code nested too deeply to walk: every name in it, with nothing certain."""
    stored: set[str] = set()
    loaded: dict[str, Position] = {}
    for index, cell in enumerate(cells):
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Load):
                    loaded.setdefault(node.id, Position(cell=index, line=node.lineno))
                else:
                    stored.add(node.id)
    return Names(
        binds=frozenset(stored),
        may_unbind=frozenset(stored),
        needs=frozenset(loaded),
        mentions=frozenset(stored | loaded.keys()),
        first_use=loaded,
        uncertain=(_TOO_DEEP,),
        any_name=(_TOO_DEEP,),
        definitions={},
    )
