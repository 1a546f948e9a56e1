"""A parameter as a budget: trials run with little of it, and the better ones with more and more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import UsageError, spelling_hint
from nbci.graph import by_name
from nbci.params.merge import listing
from nbci.pipeline.search_space import read_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.errors import Location
    from nbci.params import Parameter
    from nbci.pipeline.search_space import Dimension, Sweep, Where

_TOLERANCE = 1e-9
"""Of a value: 0.1 * 3 * 3 is not 0.9."""


class Fidelity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parameter `param` has the values from `low` to `high`, each `eta` times the one before.

    `resume_from` is an out that a step finds again as it left it with the value before.
    """

    param: str
    low: int | float
    high: int | float
    eta: int = 3
    resume_from: str | None = None

    @property
    def rungs(self) -> tuple[int | float, ...]:
        """The values, the last of them `high`."""
        values = [self.low]
        while values[-1] * self.eta < self.high * (1 - _TOLERANCE):
            values.append(values[-1] * self.eta)
        # A last step that is smaller than the others decides nothing.
        reaches_high = values[-1] * self.eta <= self.high * (1 + _TOLERANCE)
        if len(values) > 1 and not reaches_high:
            values.pop()
        return (*values, self.high)

    @property
    def steps(self) -> tuple[int, ...]:
        """Whole numbers for the rungs, `eta` times each other: pruners know no others.

        The values themselves, where these are whole.
        """
        unit = 1
        # Whoever looks at the study with Optuna's tools sees epochs, then.
        if isinstance(self.low, int):
            unit = self.low
        return tuple(unit * self.eta**rung for rung in range(len(self.rungs)))


def read_fidelity(
    fields: Mapping[str, Any],
    parameters: Sequence[Parameter],
    space: Sequence[Dimension],
    at: Where,
) -> Fidelity:
    """The budget as a file or the command line has it; UsageError where it is none."""
    name = fields["param"]
    known = by_name(parameters)
    if name not in known:
        raise UsageError(
            f"`fidelity` names the parameter {name}, which the pipeline does not declare",
            hint=spelling_hint(name, known, listing(parameters)),
            where=at("param"),
        )
    if name in by_name(space):
        raise UsageError(
            f"{name} is searched, and the `fidelity` of trials as well",
            hint="leave out one: trials with more of it are not comparable with others",
            where=at("param"),
        )
    low, high = (read_number(known[name], fields[key], at(key)) for key in ("low", "high"))
    if not 0 < low < high:
        raise UsageError(
            f"`fidelity` goes from a {name} above 0 to a larger one, not from {low} to {high}",
            hint=f"for example: {{param: {name}, low: 1, high: 27}}",
            where=at("low"),
        )
    options = {key: fields[key] for key in ("eta", "resume_from") if key in fields}
    found = Fidelity(param=name, low=low, high=high, **options)
    if found.eta < 2:
        raise UsageError(
            f"`eta` of `fidelity` is {found.eta}: one of so many trials goes on, of at least 2",
            where=at("eta"),
        )
    return found


def parse_fidelity(text: str) -> dict[str, Any]:
    """`epochs=1..27`, or `epochs=1..27:3` with `eta`, as a file would have it."""
    name, _, values = text.partition("=")
    low, dots, rest = values.partition("..")
    high, colon, eta = rest.partition(":")
    fields: dict[str, Any] = {"param": name.strip()}
    try:
        # One message for all that is wrong with the form.
        if not dots or not fields["param"]:
            raise ValueError
        fields |= {"low": _number(low), "high": _number(high)}
        if colon:
            fields["eta"] = int(eta)
    except ValueError:
        raise UsageError(
            f"--fidelity {text!r} is not name=low..high", hint="for example: epochs=1..27:3"
        ) from None
    return fields


def _number(text: str) -> int | float:
    """Whole where it is written so."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def check_hyperband(sweep: Sweep, where: Location | None) -> None:
    """UsageError where the method has no budget to give out, or the budget nobody to do so."""
    if sweep.method == "hyperband" and sweep.fidelity is None:
        raise UsageError(
            "the method hyperband needs to know of which parameter trials get more and more",
            hint="`fidelity: {param: epochs, low: 1, high: 27}`, or --fidelity epochs=1..27",
            where=where,
        )
    if sweep.method != "hyperband" and sweep.fidelity is not None:
        raise UsageError(
            f"`fidelity` goes with the method hyperband, and this is {sweep.method}",
            hint="method: hyperband",
            where=where,
        )
    if sweep.method == "hyperband" and sweep.prune is not None:
        raise UsageError(
            "hyperband decides by the objective which trials go on: `prune` would decide as well",
            hint="leave out `prune`, or choose another method and leave out `fidelity`",
            where=where,
        )
