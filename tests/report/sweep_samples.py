"""Sweeps for the tests of their pages: an ordinary one, and those that are hard to draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbci.pipeline.search_space import Choices, Range
from nbci.report.data.sweep_material import SweepMaterial
from nbci.sweeps.study_record import Objective, SweepRecord, TrialRecord, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = "<script>alert(1)</script>"
HANDLER = '" onload="alert(1)'
SPACE = (
    Range(name="C", low=0.01, high=1000.0, log=True),
    Choices(name="kernel", values=("rbf", "poly", None)),
    Range(name="degree", low=2, high=5, when="kernel == 'poly'"),
)
ACCURACY = Objective(metric="fit/predict:accuracy", direction="maximize")
SIZE = Objective(metric="model_kb", direction="minimize")


def sweep(**fields: Any) -> SweepRecord:
    known: dict[str, Any] = {
        "sweep": "20260102-030405-0000000",
        "pipeline": "digits",
        "target": "pipelines/digits.yaml",
        "name": "best",
        "space": SPACE,
        "objectives": (ACCURACY,),
        "method": "tpe",
        "seed": 7,
        "nbci": "0.2.0",
        "started_utc": "2026-01-02T03:04:05.000Z",
        "trials": 20,
        "parallel": 2,
    }
    return SweepRecord(**{**known, **fields})


def trial(number: int, *values: float, **fields: Any) -> TrialRecord:
    """A trial of a second that begins half a second after the one before."""
    seconds = number / 2
    known: dict[str, Any] = {
        "state": "complete" if values else "failed",
        "params": {"C": 10.0 ** (number % 5 - 2), "kernel": "rbf"},
        "values": values,
        "run": f"20260102-0304{number:02}-0000000",
        "started_utc": _moment(seconds),
        "ended_utc": _moment(seconds + 1),
        "seconds": 1.0,
        "worker": str(number % 2 + 1),
        "computed": Work(steps=1, seconds=0.9),
        "reused": Work(steps=2, seconds=4.0),
    }
    return TrialRecord(number=number, **{**known, **fields})


def _moment(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"2026-01-02T{3 + hours:02}:{minutes:02}:{rest:06.3f}Z"


def material(
    trials: Sequence[TrialRecord], record: SweepRecord | None = None, **fields: Any
) -> SweepMaterial:
    record = record or sweep()
    return SweepMaterial(sweep=record, trials=trials, target=record.target, **fields)


def ordinary() -> SweepMaterial:
    """Trials of all states, one of them under a condition, and one like another."""
    poly = {"C": 3.0, "kernel": "poly", "degree": 4}
    trials = [
        trial(0, 0.91, computed=Work(steps=3, seconds=4.9), reused=Work()),
        trial(1, 0.95),
        trial(2, error="cell 4: ValueError: no <convergence>", params=poly),
        trial(3, 0.93, params={**poly, "degree": 2}),
        trial(4, 0.97, params={"C": 20.0, "kernel": None}),
        trial(
            5,
            state="pruned",
            curve=((1.0, 0.5), (2.0, 0.6)),
            params={"C": 900.0, "kernel": "rbf"},
        ),
        trial(6, 0.95, same_as=1, computed=Work(), reused=Work(), seconds=0.0, run=trial(1).run),
        trial(7, 0.96, curve=((1.0, 0.6), (2.0, 0.9), (3.0, 0.96))),
        trial(8, error="interrupted", interrupted=True, ended_utc=None, seconds=None),
        trial(9, state="running", run=None, ended_utc=None, seconds=None, computed=Work()),
        TrialRecord(
            number=10,
            state="complete",
            params={"C": 0.5, "kernel": "rbf"},
            values=(0.94,),
            earlier=True,
        ),
    ]
    pages = {trials[4].run or "": "../runs/of-trial-4/report/index.html"}
    return material(trials, is_going_on=True, pages=pages)


def two_objectives() -> SweepMaterial:
    pairs = [(0.9, 40.0), (0.95, 80.0), (0.8, 10.0), (0.85, 60.0), (0.97, 300.0)]
    trials = [trial(number, *pair) for number, pair in enumerate(pairs)]
    return material([*trials, trial(5, error="e")], sweep(objectives=(ACCURACY, SIZE)))


def many(count: int = 1000, parameters: int = 8) -> SweepMaterial:
    """A search over many parameters, in which one matters much and one a little."""
    space = tuple(Range(name=f"p{at}", low=0.0, high=1.0) for at in range(parameters))
    trials = []
    for number in range(count):
        # As random as it needs to be, and the same each time.
        point = {each.name: (number + 1) * (at * 0.37 + 0.61) % 1 for at, each in enumerate(space)}
        value = 1 - (point["p0"] - 0.3) ** 2 - 0.1 * point["p1"]
        trials.append(trial(number, value, params=point, run=f"run-{number}"))
    return material(trials, sweep(space=space, trials=count))


def hostile() -> SweepMaterial:
    names = (SCRIPT, HANDLER, "\u202edesrever", "x" * 500, "a]]>b")
    record = sweep(
        sweep=SCRIPT,
        pipeline=SCRIPT,
        name=HANDLER,
        target=f"pipelines/$(rm -rf){SCRIPT}.yaml",
        space=tuple(Choices(name=name, values=(SCRIPT, HANDLER), when=SCRIPT) for name in names),
        objectives=(Objective(metric=f"{SCRIPT}:{HANDLER}", direction="minimize"),),
    )
    point = dict.fromkeys(names, SCRIPT)
    other = dict.fromkeys(names, f"{HANDLER}\u202e\x00")
    trials = [
        trial(0, 1.0, params=point, run=SCRIPT, worker=SCRIPT),
        trial(1, 2.0, params=other, run=HANDLER, worker=HANDLER),
        trial(2, params=other, error=f"</td>{SCRIPT}\x1b[31m", started_utc=SCRIPT),
        trial(3, params=point, state="pruned", curve=((1.0, math.nan), (2.0, math.inf))),
    ]
    return material(trials, record)


def hard_ones() -> dict[str, SweepMaterial]:
    """Sweeps of which little, or nothing ordinary, is to be drawn."""
    thirty = many(40, 30)
    numbers = [1e-300, 1e300, -1e300, 0.0, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308]
    categories = tuple(f"category {at}" for at in range(100))
    wide = (
        Range(name="C", low=1e-300, high=1e300, log=True),
        Range(name="d", low=-1.7e308, high=1.7e308),
    )
    ends = [{"C": 1e-300, "d": -1.7e308}, {"C": 1e300, "d": 1.7e308}, {"C": 1.0, "d": 0.0}] * 3
    return {
        "no trial": material([]),
        "one trial": material([trial(0, 0.5)]),
        "one running": material([trial(0, state="running", ended_utc=None)], is_going_on=True),
        "all failed": material([trial(number, error="no such file") for number in range(5)]),
        "all equal": material([trial(number, 0.5, params={"C": 1.0}) for number in range(9)]),
        "huge": material([trial(at, value) for at, value in enumerate(numbers)]),
        "tiny steps": material([trial(at, 1 + at * 1e-15) for at in range(9)]),
        "orders": material([trial(at, 10.0 ** (at * 60 - 300)) for at in range(11)]),
        "infinite": material([trial(0, math.inf), trial(1, -math.inf), trial(2, 1.0)]),
        "wide space": material(
            [trial(at, float(at), params=point) for at, point in enumerate(ends)],
            sweep(space=wide),
        ),
        "thirty parameters": thirty,
        "categories": material(
            [trial(at, at / 7 % 1, params={"k": categories[at % 100]}) for at in range(150)],
            sweep(space=(Choices(name="k", values=categories),)),
        ),
        "no times": material([trial(at, 1.0, started_utc=None, worker=None) for at in range(3)]),
        "far off": material([trial(at, 0.9 + at / 1000) for at in range(20)] + [trial(20, 0.1)]),
    }
