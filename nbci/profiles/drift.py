"""Compare the profile of a window with that of the reference, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from nbci.behaviour.significance import holm
from nbci.profiles.column_measures import number_text
from nbci.profiles.columns import NORM
from nbci.profiles.distances import (
    Distribution,
    bins_of,
    chi2_p_value,
    count_tables,
    jensen_shannon,
    ks_p_value,
    ks_statistic,
    normal_distances,
    shares_of,
    stability_index,
    wasserstein,
)
from nbci.profiles.findings import (
    TYPES,
    find_problems,
    gone,
    new,
    new_values,
    outside_share,
    share_of,
)
from nbci.profiles.quantile_sketch import GRID_STEP, rank_error
from nbci.records.profile import ColumnDrift

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from nbci.records.profile import ColumnProfile, Profile, SchemaFinding

    Measure = Literal["psi", "jensen_shannon", "wasserstein"]


def compare(
    reference: Profile, window: Profile, *, measure: Measure = "psi"
) -> tuple[tuple[ColumnDrift, ...], tuple[SchemaFinding, ...]]:
    """How far each column of the reference has moved, and how the window breaks its schema.

    In the order of the reference's columns; new columns come last, among the findings only. The
    window is to be measured like the reference: `measure_table(batches, like=reference)`.
    """
    drifts: list[ColumnDrift] = []
    findings: list[SchemaFinding] = []
    for column in reference.columns:
        now = window.column(column.name)
        if now is None:
            drifts.append(_not_compared(column, None, "the window has no such column", measure))
            findings.append(gone(column))
            continue
        found = find_problems(column, now)
        if _is_norm(column, reference):
            # What else there is to say is said of the vectors.
            found = (each for each in found if each.problem == "range")
        findings.extend(found)
        drifts.append(_compare_columns(column, now, measure))
    for column in window.columns:
        if reference.column(column.name) is None:
            findings.append(new(column))
    return tuple(_correct(drifts)), tuple(findings)


def _is_norm(column: ColumnProfile, profile: Profile) -> bool:
    if not column.name.endswith(NORM):
        return False
    vector = profile.column(column.name.removesuffix(NORM))
    return vector is not None and vector.kind == "vector"


def _compare_columns(before: ColumnProfile, now: ColumnProfile, measure: Measure) -> ColumnDrift:
    why = _reason_not_to(before, now)
    if why:
        return _not_compared(before, now, why, measure)
    if before.kind == "vector":
        figures: dict[str, Any] = {**normal_distances(before, now)}
    elif before.kind == "number":
        figures = _compare_numbers(before, now)
    elif before.kind == "text":
        figures = _compare_texts(before, now)
    else:
        figures = _compare_counts(before, now)
    return ColumnDrift(
        column=before.name,
        kind=before.kind,
        measure=measure,
        # What the rules judge, whichever of the three they ask for.
        effect=figures.get(measure),
        rows=min(before.values, now.values),
        **figures,
        **_shares(before, now),
    )


def _reason_not_to(before: ColumnProfile, now: ColumnProfile) -> str:
    """Why the two cannot be compared; empty if they can be."""
    if before.kind == "time":
        return "times move on by themselves"
    if before.kind == "image":
        return "what was measured of it is in columns of its own"
    if not now.rows:
        return "the window has no rows"
    if not before.values:
        return "the reference has no values"
    if not now.values and now.unlike:
        return f"the window has no {TYPES[before.kind]}"
    if not now.values:
        return "the window has no values"
    if before.kind != now.kind:
        return f"the window has {TYPES[now.kind]}, the reference {TYPES[before.kind]}"
    if before.kind == "vector" and before.width != now.width:
        return f"the window's vectors have {now.width} parts, the reference's {before.width}"
    return ""


def _compare_numbers(before: ColumnProfile, now: ColumnProfile) -> dict[str, Any]:
    """All measures; the test of values that are few and all known is that of counts."""
    # Of texts it is the lengths that are compared, which have no fractions.
    if before.kind == "number":
        now = _as_precise(before, now)
    reference, window = Distribution(before), Distribution(now)
    figures = _distances(reference, window, before, now)
    if reference.is_discrete and window.is_exact:
        tables = count_tables(before.counts or {}, 0, now)
        return {**figures, "test": "chi2", "p_value": chi2_p_value(*tables)}

    statistic = ks_statistic(reference, window)
    if not (reference.is_exact and window.is_exact):
        # What the sketches and the grid leave open must not look like a difference.
        statistic -= rank_error(before.values) + rank_error(now.values) + GRID_STEP
    p_value = ks_p_value(max(0.0, statistic), before.values, now.values)
    return {**figures, "test": "ks", "p_value": p_value}


def _as_precise(before: ColumnProfile, now: ColumnProfile) -> ColumnProfile:
    """The window's numbers as the reference writes them, where they are the same in 32 bits.

    A model mostly takes 32 bits, and its training table has 64: 0.26 comes back as 0.25999999046.
    Where many rows have one value, all of them would lie on the other side of an edge.
    """
    import numpy as np

    def in_32_bits(value: float) -> float:
        # What is beyond their range stays infinite, and is nobody's equal.
        with np.errstate(over="ignore"):
            return float(np.float32(value))

    places: set[float] = set(Distribution(before).places.tolist())
    known: dict[float, float] = {in_32_bits(place): place for place in places}

    def written(value: float) -> float:
        if value in places:
            return value
        # One of the two has 32 bits only: else 64 bits tell them apart, as those of times.
        place = known.get(value)
        if place is None:
            place = known.get(in_32_bits(value), value)
            if in_32_bits(place) != place:
                return value
        return place

    counts: dict[str, int] | None = None
    if now.counts is not None:
        counts = {}
        for text, count in now.counts.items():
            key = number_text(written(float(text)))
            counts[key] = counts.get(key, 0) + count
    quantiles = tuple(map(written, now.quantiles))
    return msgspec.structs.replace(now, counts=counts, quantiles=quantiles)


def _distances(
    reference: Distribution, window: Distribution, before: ColumnProfile, now: ColumnProfile
) -> dict[str, Any]:
    rows = min(before.values, now.values)
    edges = bins_of(reference, rows)
    shares = shares_of(reference, edges), shares_of(window, edges)
    bodies = Distribution(before, has_tails=False), Distribution(now, has_tails=False)
    return {
        "psi": stability_index(*shares, rows),
        "jensen_shannon": jensen_shannon(*shares),
        "wasserstein": wasserstein(*bodies) / _scale(before, now),
    }


def _scale(before: ColumnProfile, now: ColumnProfile) -> float:
    """The deviation that differences are measured in; of a constant, its size or 1."""
    return before.deviation or now.deviation or abs(before.low or 0.0) or 1.0


def _compare_counts(before: ColumnProfile, now: ColumnProfile) -> dict[str, Any]:
    """Categories and truth values, which have no order, and so no distance to carry anything."""
    reference, window = count_tables(before.counts or {}, before.others, now)
    shares = reference / reference.sum(), window / window.sum()
    return {
        "psi": stability_index(*shares, min(before.values, now.values)),
        "jensen_shannon": jensen_shannon(*shares),
        "wasserstein": float(abs(shares[0] - shares[1]).sum() / 2),
        "test": "chi2",
        "p_value": chi2_p_value(reference, window),
    }


def _compare_texts(before: ColumnProfile, now: ColumnProfile) -> dict[str, Any]:
    """The larger of what the lengths and the frequent values tell, and the smaller p-value.

    The p-value is doubled, as there are two tests.
    """
    # Names that are all different tell by their lengths only.
    lengths = _compare_numbers(before, now)
    if not before.counts:
        return lengths
    values = _compare_counts(before, now)
    larger: dict[str, Any] = {}
    for name in ("psi", "jensen_shannon", "wasserstein"):
        larger[name] = max(lengths[name], values[name])
    decisive = min(lengths, values, key=lambda figures: float(figures["p_value"]))
    p_value = min(1.0, 2 * decisive["p_value"])
    return {**larger, "test": decisive["test"], "p_value": p_value}


def _shares(before: ColumnProfile, now: ColumnProfile) -> dict[str, Any]:
    return {
        "missing_share": share_of(now.missing, now.rows),
        "missing_share_before": share_of(before.missing, before.rows),
        "outside": outside_share(before, now),
        "new_values": new_values(before, now),
    }


def _not_compared(
    before: ColumnProfile, now: ColumnProfile | None, why: str, measure: Measure
) -> ColumnDrift:
    shares = _shares(before, now) if now is not None else {}
    return ColumnDrift(column=before.name, kind=before.kind, measure=measure, why=why, **shares)


def _correct(drifts: list[ColumnDrift]) -> Iterator[ColumnDrift]:
    """The drifts with p-values that are corrected for their number."""
    import numpy as np

    tested = [drift.p_value for drift in drifts if drift.p_value is not None]
    corrected = iter(holm(np.array(tested, dtype=np.float64)).tolist())
    for drift in drifts:
        if drift.p_value is None:
            yield drift
        else:
            yield msgspec.structs.replace(drift, p_corrected=next(corrected))
