"""Which parameter is a seed, and with which values of it a run is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import UsageError, spelling_hint
from nbci.graph import by_name
from nbci.params.merge import listing
from nbci.params.types import MismatchError, conform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.errors import Location
    from nbci.params import BoundParameter, Parameter
    from nbci.pipeline.document import Document

DEFAULT_PARAMETER = "seed"
FEWEST = 2
FEWEST_JUDGED = 5
"""With fewer pairs, no way that their signs fall is as rare as 0.05: with four it is 1/16."""


class Seeds(Struct, frozen=True, kw_only=True):
    """The seeds as asked for: so many, counted from the parameter's value, or these beside it."""

    parameter: str
    count: int | None = None
    listed: tuple[int | float, ...] = ()
    where: Location | None = None


def read_seeds(document: Document, parameters: Sequence[Parameter]) -> Seeds | None:
    """What the file asks for; UsageErrors name line and column."""
    fields = document.data.get("seeds")
    if fields is None:
        return None
    name, values = fields.get("parameter", DEFAULT_PARAMETER), fields["values"]
    key = "parameter" if "parameter" in fields else "values"
    parameter = _seed_parameter(name, parameters, document.where("seeds", key))
    where = document.where("seeds", "values")
    if isinstance(values, list):
        places = [document.where("seeds", "values", at) for at in range(len(values))]
        return Seeds(parameter=name, listed=_listed(values, parameter, places), where=where)
    return Seeds(parameter=name, count=_count(values, where), where=where)


def with_count(seeds: Seeds | None, count: int, parameters: Sequence[Parameter]) -> Seeds:
    """The seeds with that many values, as the command line asks for them."""
    name = DEFAULT_PARAMETER
    if seeds is not None:
        name = seeds.parameter
    _seed_parameter(name, parameters, None)
    return Seeds(parameter=name, count=_count(count, None))


def seed_values(seeds: Seeds, bound: Sequence[BoundParameter]) -> tuple[int | float, ...]:
    """The values of the seed, the parameter's own first; UsageError where that is no number."""
    known = by_name(bound)
    if seeds.parameter not in known:
        raise UsageError(f"there is no parameter {seeds.parameter} for `seeds`", where=seeds.where)
    own = known[seeds.parameter].value
    if not _is_number(own):
        raise UsageError(
            f"the parameter {seeds.parameter} is {own!r}, and `seeds` count from a number",
            hint=f"give it a number: -p {seeds.parameter}=0",
            where=seeds.where,
        )
    if seeds.count is None:
        return tuple(dict.fromkeys((own, *seeds.listed)))
    return tuple(own + step for step in range(seeds.count))


def _seed_parameter(
    name: str, parameters: Sequence[Parameter], where: Location | None
) -> Parameter:
    known = by_name(parameters)
    if name not in known:
        raise UsageError(
            f"`seeds` need the parameter {name}, which the pipeline does not declare",
            hint=spelling_hint(name, known, listing(parameters)),
            where=where,
        )
    parameter = known[name]
    # Null may stand for a number that is given later.
    if parameter.default is not None and not _is_number(parameter.default):
        raise UsageError(
            f"the parameter {name} is no number: {parameter.default!r}",
            hint="`seeds` need the parameter that seeds the random numbers",
            where=where,
        )
    return parameter


def _count(count: int, where: Location | None) -> int:
    if count < FEWEST:
        raise UsageError(
            f"`seeds` need at least {FEWEST} values, not {count}",
            hint=f"{FEWEST_JUDGED} are enough to tell a difference from noise",
            where=where,
        )
    return count


def _listed(
    values: Sequence[Any], parameter: Parameter, places: Sequence[Location]
) -> tuple[int | float, ...]:
    found: dict[int | float, None] = {}
    for value, where in zip(values, places, strict=True):
        try:
            seed = conform(value, parameter.type)
        except MismatchError as error:
            raise UsageError(
                f"the parameter {parameter.name} takes {error}", where=where
            ) from error
        if seed in found:
            raise UsageError(
                f"the seed {value} stands there twice",
                hint="a second run with it tells nothing new",
                where=where,
            )
        found[seed] = None
    if len(found) < FEWEST:
        _count(len(found), places[0] if places else None)
    return tuple(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
