"""What every step has before it gets a value: parameters, imports, functions, kernels' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.dataflow.definition_effects import Definitions, without_certainty
from nbci.dataflow.mutable_names import mutable_names
from nbci.dataflow.names import Names, names_of
from nbci.dataflow.outside import SUBCLASSES, is_history, is_provided
from nbci.dataflow.prelude import codes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.dataflow.definition_effects import Body
    from nbci.dataflow.prelude import Statement


class Brought(Struct, frozen=True, kw_only=True):
    """Names that kernels bring along: `surely` as somebody declared, `perhaps` for a reason."""

    surely: frozenset[str] = frozenset()
    perhaps: Mapping[str, str] = field(default_factory=dict)

    def also(self, names: Iterable[str]) -> Brought:
        """With these declared, too."""
        return Brought(surely=self.surely.union(names), perhaps=self.perhaps)


NOTHING_BROUGHT = Brought()


class Origin(Struct, frozen=True, kw_only=True):
    """What every step has before it gets any value.

    It comes from parameters, imports and functions cells, and Python itself. `mutable` are names of
    theirs whose objects a step may change; where it does, they are values from there on. Each leads
    to the names that may share objects with it. `brought` are names that its kernel may bring, with
    the reason.
    """

    params: frozenset[str]
    binds: frozenset[str]
    variables: frozenset[str]
    imports: frozenset[str]
    definitions: Definitions
    future_annotations: bool
    uncertain: tuple[str, ...]
    own: frozenset[str]
    mutable: Mapping[str, frozenset[str]]
    brought: Mapping[str, str]

    @classmethod
    def of(
        cls,
        params: frozenset[str],
        prelude: Sequence[Statement],
        settled: frozenset[str] = frozenset(),
        brought: Brought = NOTHING_BROUGHT,
    ) -> Origin:
        names = names_of(codes_of(prelude))
        variables = params
        for statement in prelude:
            if statement.kind == "other":
                variables |= statement.binds
        mutable = mutable_names(params - settled, prelude, names.definitions)
        held = _held_definitions(names.definitions, variables, mutable)
        return cls(
            params=params,
            binds=names.binds,
            variables=variables,
            imports=names.imports,
            definitions={**names.definitions, **held},
            future_annotations=names.future_annotations,
            uncertain=names.uncertain,
            own=params | names.binds | brought.surely,
            mutable=mutable,
            brought=brought.perhaps,
        )

    def has(self, name: str) -> bool:
        """Whether a step has the name without any value from another step."""
        return name in self.own or is_provided(name) or name == SUBCLASSES

    def makes_value(self, name: str, names: Names) -> bool:
        """Whether the code makes a value of the name for later steps.

        It makes one out of nothing, or out of what all steps have.
        """
        # `_`, `Out` and `_1` are made by every cell, and are of no use to another kernel.
        if is_history(name):
            return False
        if name in names.binds:
            return not (name in self.imports and name in names.imports)
        return name in self.mutable

    def with_companions(self, names: Iterable[str]) -> frozenset[str]:
        """The names, and those that share objects with them."""
        companions = set(names)
        for name in names:
            companions |= self.mutable.get(name, frozenset())
        return frozenset(companions)


def _held_definitions(
    definitions: Definitions, variables: frozenset[str], mutable: Mapping[str, frozenset[str]]
) -> Definitions:
    """What the functions do that variables may hold, as after `register(f)`.

    Code that uses the variable may call them.
    """
    held = {}
    for name in variables & mutable.keys():
        bodies: list[Body] = []
        for companion in sorted(mutable[name]):
            # Held, but perhaps never called: nothing that it does is certain.
            for body in without_certainty(definitions.get(companion, ())):
                bodies.append(replace(body, kind="value"))
        if bodies:
            held[name] = tuple(bodies)
    return held
