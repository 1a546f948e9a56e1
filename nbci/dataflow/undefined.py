"""Names that a step needs and nothing gives it: errors when certain, else warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.dataflow import outside
from nbci.dataflow.mutable_names import mutable_names
from nbci.dataflow.names import Definitions, Names, Position, names_of
from nbci.dataflow.outside import PROVIDED, is_history, is_provided
from nbci.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.dataflow.definition_effects import Body
    from nbci.dataflow.prelude import Statement


class Undefined(Struct, frozen=True, kw_only=True):
    """A name that no step gives to the step that reads it.

    `cell` is the index among the step's cells, from 0. `error`: reading it surely fails; `warning`:
    it may be defined in a way that cannot be followed (`reason`); `possible`: only some paths read
    it.
    """

    step: str
    name: str
    severity: Literal["error", "warning", "possible"]
    cell: int
    line: int
    message: str
    hint: str | None = None
    reason: str | None = None


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
        names = names_of([statement.code for statement in prelude])
        others = [statement for statement in prelude if statement.kind == "other"]
        variables = params.union(*(statement.binds for statement in others))
        mutable = mutable_names(params - settled, prelude, names.definitions)
        return cls(
            params=params,
            binds=names.binds,
            variables=variables,
            imports=names.imports,
            definitions={**names.definitions, **_held(names.definitions, variables, mutable)},
            future_annotations=names.future_annotations,
            uncertain=names.uncertain,
            own=params | names.binds | brought.surely,
            mutable=mutable,
            brought=brought.perhaps,
        )

    def has(self, name: str) -> bool:
        """Whether a step has the name without any value from another step."""
        return name in self.own or is_provided(name) or name == outside.SUBCLASSES

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


def _held(
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
            for body in definitions.get(companion, ()):
                bodies.append(replace(body.without_certainty(), kind="value"))
        if bodies:
            held[name] = tuple(bodies)
    return held


def undefined_names(
    steps: Sequence[str],
    before: Sequence[Sequence[int]],
    names: Sequence[Names],
    have: Sequence[Mapping[str, object]],
    origin: Origin,
    *,
    guessed: frozenset[str] = frozenset(),
) -> tuple[Undefined, ...]:
    """What is missing, in the order of the steps and then of their lines.

    A step to which a `guessed` name is given may get no value for it after all.
    """
    missing = _Missing(steps, before, names, origin)
    found: list[Undefined] = []
    for step, found_names in enumerate(names):
        absent = []
        for name in found_names.needs:
            if (name in guessed or name not in have[step]) and not origin.has(name):
                absent.append(missing.place(step, name))
        for place in sorted(absent):
            found.append(missing.entry(step, place.name))
    return tuple(found)


class _Place(NamedTuple):
    """Where a step first reads a name; places sort in the order of the code."""

    cell: int
    line: int
    name: str


class _Missing:
    """Explains why names are missing."""

    def __init__(
        self,
        steps: Sequence[str],
        before: Sequence[Sequence[int]],
        names: Sequence[Names],
        origin: Origin,
    ) -> None:
        self.steps = steps
        self.before = before
        self.names = names
        self.origin = origin
        self._makers: dict[str, list[int]] | None = None

    def place(self, step: int, name: str) -> _Place:
        position = self.names[step].first_use.get(name, Position(cell=0, line=1))
        return _Place(position.cell, position.line, name)

    def _reason(self, step: int, name: str, ancestors: set[int]) -> str | None:
        """Why the name may be defined after all; None where nothing says so."""
        # Any code before the read may have made the name in a way that cannot be followed.
        for code in (step, *sorted(ancestors)):
            if self.names[code].uncertain:
                return self.names[code].uncertain[0]
        if self.origin.uncertain:
            return self.origin.uncertain[0]
        return self.origin.brought.get(name) or outside.BROUGHT_BY_SOME_KERNELS.get(name)

    def entry(self, step: int, name: str) -> Undefined:
        cell, line, _ = self.place(step, name)
        ancestors = self._ancestors(step)
        reason = self._reason(step, name, ancestors)
        severity: Literal["error", "warning", "possible"] = "possible"
        if name in self.names[step].surely_needs:
            severity = "warning"
            if reason is None:
                severity = "error"
        message, hint = self._explained(step, name, ancestors)
        return Undefined(
            step=self.steps[step],
            name=name,
            severity=severity,
            cell=cell,
            line=line,
            message=message,
            hint=hint,
            reason=reason,
        )

    def _explained(self, step: int, name: str, ancestors: set[int]) -> tuple[str, str | None]:
        this = self.steps[step]
        makers = self.makers.get(name, [])
        # The most particular explanation first.
        for other in sorted(ancestors):
            if name in self.names[other].unbinds:
                deleting = self.steps[other]
                return f"`{name}` is used by step {this}, but step {deleting} deletes it", None
        for maker in makers:
            if maker != step and step not in self._ancestors(maker):
                shown = self.steps[maker]
                message = f"`{name}` is made by step {shown}, which does not come before {this}"
                return message, f"tag {this} with prev:{shown}"
        if name in self.names[step].binds:
            return (
                f"`{name}` is used by step {this} before it is defined",
                "define it above its first use",
            )
        if makers:
            maker = makers[0]
            return f"`{name}` is made by step {self.steps[maker]}, which comes after {this}", None
        return f"`{name}` is used by step {this} and defined nowhere", self._guess(step, name)

    def _guess(self, step: int, name: str) -> str | None:
        """A hint at a name that the step has and that may have been meant."""
        defined = self.origin.own.union(self.names[step].binds)
        for other in self._ancestors(step):
            defined |= self.names[other].binds
        # The notebook's own names first: `inputs` is sooner theirs than `input` of Python.
        close = nearest(name, sorted(defined)) or nearest(name, sorted(PROVIDED))
        if close is None:
            return None
        return f"did you mean `{close}`?"

    @property
    def makers(self) -> dict[str, list[int]]:
        # Made when the first name is missing: in most notebooks none is.
        if self._makers is None:
            self._makers = {}
            for step, found in enumerate(self.names):
                for name in found.binds:
                    self._makers.setdefault(name, []).append(step)
        return self._makers

    def _ancestors(self, step: int) -> set[int]:
        seen: set[int] = set()
        pending = [*self.before[step]]
        while pending:
            other = pending.pop()
            if other not in seen:
                seen.add(other)
                pending.extend(self.before[other])
        return seen
