"""Results of monitors for the tests of what is made of them: ordinary ones, and hard ones."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from nbci.records.monitoring import MonitorResult, Window
from nbci.records.profile import ColumnDrift, ColumnProfile, SchemaFinding
from nbci.records.verdict import GateResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRIPT = "<script>alert(1)</script>"
HANDLER = '" onload="alert(1)'
WINE: Mapping[str, tuple[float, float]] = {
    "alcohol": (13.0, 0.8),
    "malic_acid": (2.34, 1.12),
    "ash": (2.37, 0.27),
    "alcalinity_of_ash": (19.5, 3.34),
    "magnesium": (99.7, 14.28),
    "total_phenols": (2.3, 0.63),
    "flavanoids": (2.03, 1.0),
    "nonflavanoid_phenols": (0.36, 0.12),
    "proanthocyanins": (1.59, 0.57),
    "color_intensity": (5.06, 2.32),
    "hue": (0.96, 0.23),
    "od280/od315_of_diluted_wines": (2.61, 0.71),
    "proline": (746.9, 314.9),
}
"""Means and deviations."""


def numbers(name: str, mean: float, deviation: float, rows: int, **fields: Any) -> ColumnProfile:
    """A column of normally distributed numbers."""
    if rows == 0:
        return ColumnProfile(name=name, kind="number", rows=0)
    source = random.Random(f"{name}{rows}")  # no secret
    values = sorted(source.gauss(mean, deviation) for _ in range(500))
    quantiles = tuple(values[round(at * (len(values) - 1) / 100)] for at in range(101))
    known: dict[str, Any] = {
        "low": values[0],
        "high": values[-1],
        "mean": mean,
        "deviation": deviation,
        "quantiles": quantiles,
        "distinct": rows,
    }
    return ColumnProfile(name=name, rows=rows, **{"kind": "number", **known, **fields})


def categories(name: str, counts: Mapping[str, int], **fields: Any) -> ColumnProfile:
    rows = sum(counts.values()) + fields.get("others", 0) + fields.get("missing", 0)
    known: dict[str, Any] = {"kind": "category", "rows": rows, "distinct": len(counts)}
    return ColumnProfile(name=name, counts=counts, **{**known, **fields})


def drift(column: str, effect: float | None, **fields: Any) -> ColumnDrift:
    known: dict[str, Any] = {
        "kind": "number",
        "effect": effect,
        "psi": effect,
        "limit": 0.2,
        "test": "ks",
        "p_value": 0.2,
        "p_corrected": 1.0,
    }
    return ColumnDrift(column=column, **{**known, **fields})


def gate(**fields: Any) -> GateResult:
    known: dict[str, Any] = {
        "gate": "drift of all columns at most 0.2 in 30% of them",
        "asked": "at most 0.2 in 30% of them",
        "result": "passed",
        "reason": "0.2231 to spare",
        "metric": "drifted_share",
        "found": 0.0769,
        "margin": 0.2231,
    }
    return GateResult(**{**known, **fields})


def result(**fields: Any) -> MonitorResult:
    known: dict[str, Any] = {
        "id": "20260102-030405-0000000",
        "model": "wine",
        "version": "v1.2.0",
        "result": "passed",
        "judged_utc": "2026-01-02T03:04:05.000Z",
        "sentence": "The window is as the reference: the largest PSI is 0.05, of hue.",
        "window": Window(source="logs/wine", rows=2400),
        "nbci": "0.3.0",
    }
    return MonitorResult(**{**known, **fields})


def ordinary(**fields: Any) -> MonitorResult:
    """A day of wines, of which the alcohol is another one, and a new region appeared."""
    before, now, columns = [], [], []
    for at, (name, (mean, deviation)) in enumerate(WINE.items()):
        before.append(numbers(name, mean, deviation, 142))
        moved = 0.9 * deviation if name == "alcohol" else 0.02 * deviation
        now.append(numbers(name, mean + moved, deviation, 2400))
        columns.append(drift(name, 0.01 + 0.002 * at, p_value=0.03, p_corrected=0.39))
    columns[0] = drift(
        "alcohol", 0.314, p_value=1e-9, p_corrected=1.3e-8, outside=0.031, missing_share=0.0125
    )
    before.append(categories("region", {"north": 71, "south": 50, "islands": 21}))
    now.append(categories("region", {"north": 1100, "south": 900, "islands": 340, "coast": 60}))
    columns.append(
        drift("region", 0.06, kind="category", test="chi2", new_values=("coast",), p_corrected=0.01)
    )
    known: dict[str, Any] = {
        "result": "failed",
        "sentence": "PSI of alcohol is 0.314, more than 0.2; accuracy fell to 0.91.",
        "window": Window(
            source="logs/wine",
            rows=2400,
            start_utc="2026-01-01T03:04:05.000Z",
            end_utc="2026-01-02T03:04:05.000Z",
            requests=2310,
            versions={"v1.2.0": 2100, "v1.1.0": 300},
            labelled=480,
            digest="0c1e24a0d1c2fa2b50a9e3b0a1d2c3e4",
        ),
        "gates": (
            gate(
                gate="drift of alcohol at most 0.2",
                asked="at most 0.2",
                result="failed",
                reason="misses by 0.114",
                metric="psi",
                found=0.314,
                margin=-0.114,
            ),
            gate(),
            gate(
                gate="accuracy no more than 0.03 below",
                asked="no more than 0.03 below the champion",
                result="failed",
                reason="fell by 0.062",
                metric="accuracy",
                found=0.91,
                baseline=0.972,
                baseline_source="wine v1.2.0",
                margin=-0.032,
            ),
            gate(gate="schema", asked="fits", result="warned", reason="1 new value", found=None),
        ),
        "columns": tuple(columns),
        "findings": (
            SchemaFinding(
                column="region",
                problem="categories",
                sentence="coast is new: the reference has islands, north and south",
                share=0.025,
            ),
        ),
        "metrics": {"rows": 2400.0, "accuracy": 0.91, "drifted_share": 0.0714, "p95_ms": 8.3},
        "reference": {"evaluate:accuracy": 0.972},
        "before": tuple(before),
        "now": tuple(now),
        "pipeline": "wine_watch",
        "step": "watch",
    }
    return result(**{**known, **fields})


def earlier(count: int = 6) -> Sequence[MonitorResult]:
    """The days before, in which the alcohol rises."""
    found = []
    for at in range(count):
        effect = 0.02 + 0.26 * at / count
        rows = 2000 + 137 * (at * 7 % 5)
        old = round(rows * max(0.0, 0.9 - 0.2 * at))
        found.append(
            ordinary(
                id=f"202512{20 + at % 10}-030405-00000{at:02}",
                judged_utc=f"2025-12-{20 + at % 10}T03:04:05.000Z",
                result="passed",
                sentence=f"The largest PSI is {effect:.2g}, of alcohol.",
                window=Window(
                    source="logs/wine",
                    rows=rows,
                    end_utc=f"2025-12-{20 + at % 10}T03:04:05.000Z",
                    versions={"v1.1.0": old, "v1.2.0": rows - old},
                ),
                columns=(drift("alcohol", effect), drift("hue", 0.03), drift("ash", 0.02)),
                metrics={"rows": float(rows), "accuracy": 0.97 - 0.008 * at, "p95_ms": 8.0},
            )
        )
    return found


def images() -> MonitorResult:
    """A camera at dusk: the pictures are darker."""
    before, now, columns = [], [], []
    moved = {"brightness": (0.52, 0.21), "contrast": (0.24, 0.17), "sharpness": (0.4, 0.38)}
    before.append(ColumnProfile(name="image", kind="image", rows=3200))
    now.append(ColumnProfile(name="image", kind="image", rows=410))
    columns.append(drift("image", None, kind="image", why="its statistics are columns"))
    for name, (then, since) in moved.items():
        before.append(numbers(f"image.{name}", then, 0.08, 3200))
        now.append(numbers(f"image.{name}", since, 0.06, 410))
        columns.append(drift(f"image.{name}", 12 * (then - since), p_corrected=1e-12))
    before.append(
        ColumnProfile(name="embedding", kind="vector", rows=3200, means=(0.1, -0.4, 0.7, 0.2))
    )
    now.append(
        ColumnProfile(name="embedding", kind="vector", rows=410, means=(0.3, -0.6, 0.1, 0.2))
    )
    columns.append(drift("embedding", 0.15, kind="vector", measure="jensen_shannon"))
    return result(
        model="pets",
        result="failed",
        sentence="PSI of image.brightness is 3.7, more than 0.2; the window is told from the "
        "reference with an AUC of 0.98.",
        window=Window(source="camera/today", rows=410),
        gates=(gate(result="failed", found=0.6, margin=-0.3, reason="misses by 0.3"),),
        columns=tuple(columns),
        before=tuple(before),
        now=tuple(now),
        metrics={"rows": 410.0, "drifted_share": 0.6, "domain_auc": 0.98},
    )


def many() -> MonitorResult:
    """A thousand columns, of which each tenth drifted."""
    before, now, columns = [], [], []
    for at in range(1000):
        name = f"feature_{at:04}"
        is_moved = at % 10 == 0
        before.append(numbers(name, 0.0, 1.0, 5000))
        now.append(numbers(name, 1.5 if is_moved else 0.0, 1.0, 900))
        columns.append(drift(name, 0.5 + at / 1000 if is_moved else at / 10_000))
    return result(result="failed", columns=tuple(columns), before=tuple(before), now=tuple(now))


def empty() -> MonitorResult:
    """A window without any row."""
    before, now, columns = [], [], []
    for name, (mean, deviation) in WINE.items():
        before.append(numbers(name, mean, deviation, 142))
        now.append(numbers(name, mean, deviation, 0))
        columns.append(drift(name, None, limit=None, p_corrected=None, why="the window is empty"))
    return result(
        result="failed",
        sentence="The window has no rows.",
        window=Window(source="logs/wine", rows=0),
        gates=(
            gate(
                gate="rows at least 100",
                asked="at least 100",
                result="failed",
                reason="misses by 100",
                metric="rows",
                found=0.0,
                margin=-100.0,
            ),
        ),
        columns=tuple(columns),
        before=tuple(before),
        now=tuple(now),
        metrics={"rows": 0.0},
    )


def hostile() -> MonitorResult:
    """Names that would break a page, a file or a table."""
    names = (
        SCRIPT,
        HANDLER,
        "../../etc/passwd",
        "x" * 300,
        'a b\nc\t\\d"e',
        "\x00\x1b[31mred\ud800",
        "\u202eright to left",
        "]]>&amp;",
        "",
        "a\x01",
        "a\x02",
    )
    before, now, columns = [], [], []
    for at, name in enumerate(names):
        columns.append(
            drift(name, at / 10, new_values=names, why=SCRIPT, missing_share=0.1, outside=0.2)
        )
        before.append(categories(name, dict.fromkeys(names[:4], 5), others=3, missing=2))
        now.append(categories(name, dict.fromkeys(names[3:], 5)))
    odd = (float("nan"), float("inf"), -float("inf"), 1e308)
    for at, value in enumerate(odd):
        name = f"odd {at}"
        columns.append(drift(name, value, p_corrected=value, limit=value))
        before.append(numbers(name, 0.0, 1.0, 10, quantiles=(0.0, value, value)))
        now.append(numbers(name, 0.0, 1.0, 10, quantiles=(-1e308, 0.0, 1e308)))
    columns.append(drift("constant", 0.0))
    before.append(numbers("constant", 3.0, 0.0, 10))
    now.append(numbers("constant", 3.0, 0.0, 1))
    # What some write for a time that is not known.
    columns.append(drift("sentinel", 8.0, kind="time"))
    before.append(numbers("sentinel", 0.0, 1.0, 3, kind="time", quantiles=(-1e308, 0.0, 1e308)))
    columns.append(drift("when", 9.0, kind="time"))
    before.append(numbers("when", 1.7e9, 1e6, 10, kind="time"))
    now.append(numbers("when", 1.8e9, 1e2, 10, kind="time"))
    return result(
        model=SCRIPT,
        version="../x" * 80,
        result="failed",
        sentence=f"{SCRIPT} {'y' * 400}",
        window=Window(
            source=f"{SCRIPT}{'/long' * 80}",
            rows=55,
            start_utc="no time",
            end_utc=SCRIPT,
            versions=dict.fromkeys(names, 5),
            digest=HANDLER,
        ),
        gates=tuple(
            gate(gate=name, asked=SCRIPT, reason=HANDLER, result="failed") for name in names
        ),
        columns=tuple(columns),
        findings=tuple(
            SchemaFinding(column=name, problem="new", sentence=SCRIPT, share=float("nan"))
            for name in names
        ),
        metrics=dict(zip(names, (*odd, 1.0, 2.0), strict=False)),
        reference={SCRIPT: float("nan"), HANDLER: 1e308},
        before=tuple(before),
        now=tuple(now),
        pipeline=SCRIPT,
        step=HANDLER,
    )


def hostile_before() -> MonitorResult:
    """The same of the day before."""
    now = hostile()
    return result(
        id="0",
        model=now.model,
        version=now.version,
        judged_utc="2026-01-01T03:04:05.000Z",
        window=Window(source="", rows=9, versions={"\ud800": 3, HANDLER: 3, "x" * 300: 3}),
        columns=now.columns,
        metrics=now.metrics,
    )
