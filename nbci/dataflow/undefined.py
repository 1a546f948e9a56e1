"""Names that a step needs and nothing gives it: errors when certain, else warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

from nbci.dataflow import outside
from nbci.dataflow.names import Position
from nbci.dataflow.outside import PROVIDED
from nbci.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.dataflow.names import Names
    from nbci.dataflow.origin import Origin


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


def undefined_names(
    steps: Sequence[str],
    before: Sequence[Sequence[int]],
    names: Sequence[Names],
    have: Mapping[int, Mapping[str, object]],
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
        message, hint = self._explanation(step, name, ancestors)
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

    def _explanation(self, step: int, name: str, ancestors: set[int]) -> tuple[str, str | None]:
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
