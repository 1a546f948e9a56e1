"""Gates over predictions, read and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.pipeline.metric_gates import BOUNDS, GOOD_DIRECTION
from nbci.pipeline.rules import CASE_METRICS, MIN_ROWS, Gate, SliceRule

if TYPE_CHECKING:
    from nbci.pipeline.gate_fields import GateFields

_NO_SLICES = ("id", "label", "prediction", "score", "weight", "show")
"""Columns of predictions that have a meaning of their own; so have the scores of classes."""
_SCORE_OF = "score_"


def read_flips(fields: GateFields) -> Gate:
    """A gate over the share of broken cases; UsageError for what makes no sense."""
    fields.refuse(
        ("metric", "expr", "slices", *BOUNDS, "significant", "beyond_noise", "of"), "flips"
    )
    fields.refuse_files("flips")
    # In per cent, as the verdict says what was found.
    return Gate(
        **fields.common(),
        flips=True,
        at_most=_percent(fields, "flips", "at_most"),
        baseline=fields.baseline("champion"),
        step=fields.fields.get("step"),
    )


def _percent(fields: GateFields, *path: str) -> float:
    """A share of all cases, in per cent."""
    value: Any = fields.fields
    for key in path:
        value = value[key]
    if isinstance(value, (int, float)):
        value = f"{100 * value:.12g}%"  # in binary, 100 * 0.07 is more than 7
    percent = fields.percent(value)
    # NaN is not within either.
    if percent is None or not 0 <= percent <= 100:
        raise fields.error(
            f"{path[-1]}: {value!r} is no share of the cases", *path, hint="write 0.5%, or 0.005"
        )
    return percent


def read_slices(fields: GateFields) -> Gate:
    """A gate over a metric in parts of the cases; UsageError for what makes no sense."""
    fields.refuse(("metric", "expr", "flips", *BOUNDS, "beyond_noise", "of"), "slices")
    fields.refuse_files("slices")
    asked = fields.fields["slices"]
    rule = SliceRule(
        by=_columns(fields, asked["by"]),
        metric=asked["metric"],
        min_rows=int(asked.get("min_rows", MIN_ROWS)),
    )
    # A band has no worst slice, so there is one rule only, the one for the bad direction.
    wanted, other = _moves(rule.metric)
    if other in asked:
        raise fields.error(
            f"`{other}` limits the good direction of {rule.metric}",
            "slices",
            other,
            hint=f"did you mean {wanted!r}?",
        )
    if wanted not in asked:
        message = f"the gate asks nothing of {rule.metric} in its slices"
        raise fields.error(message, "slices", hint=f"add {wanted}")
    return Gate(
        **fields.common(),
        slices=rule,
        max_drop=fields.tolerance("slices", "max_drop"),
        max_rise=fields.tolerance("slices", "max_rise"),
        significant=fields.significance(),
        baseline=fields.baseline("champion"),
        step=fields.fields.get("step"),
    )


def _moves(metric: str) -> tuple[str, str]:
    """The rule that limits the metric's bad direction, and the other one."""
    if CASE_METRICS[metric] == GOOD_DIRECTION["max_drop"]:
        return "max_drop", "max_rise"
    return "max_rise", "max_drop"


def _columns(fields: GateFields, by: str | list[str]) -> tuple[str, ...]:
    # YAML lets people leave out the brackets around a single name.
    columns = by
    if isinstance(columns, str):
        columns = [columns]
    for name in columns:
        if name in _NO_SLICES or name.startswith(_SCORE_OF):
            raise fields.error(
                f"by: the column {name!r} makes no slices",
                "slices",
                "by",
                hint="name columns beside label, prediction, id, scores, weight and show",
            )
    return tuple(columns)
