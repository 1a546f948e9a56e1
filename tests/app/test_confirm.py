"""What confirms a chosen trial, and whether its data can be seen to be new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from nbci.app.reruns.confirm import confirm
from nbci.app.reruns.earlier_run import EarlierRun
from nbci.config import Project
from nbci.plan.model import Plan, PlannedStep
from nbci.records.run_record import FileRef, Metric, Part, RunRecord, StepRecord
from nbci.runs.folder import RunFolder
from nbci.sweeps.choice import evidence_of
from nbci.sweeps.study_record import Objective
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.chosen import Chosen


def chosen(step: str) -> Chosen:
    searched = sweep(objectives=(Objective(metric="fit:loss", direction="minimize"),))
    trials = (trial(0, 1.0), trial(1, 2.0))
    return replace(evidence_of(searched, trials, trials[0]), confirm_step=step)


def refs(*paths: str) -> tuple[FileRef, ...]:
    return tuple(FileRef(path=path, digest="d", bytes=1) for path in paths)


def step(name: str, loss: float | None, **fields: Any) -> StepRecord:
    metrics = () if loss is None else (Metric(name="loss", value=loss, source="cell"),)
    return StepRecord(name=name, result="passed", metrics=metrics, **fields)


def confirmed(check: Sequence[StepRecord], name: str = "check") -> RunRecord:
    """The record with what those steps confirm, behind `fit`, which reads data and has a model."""
    fit = step("fit", 1.0, deps=refs("data/train.csv"), outs=refs("build/model"))
    records = (fit, *check)
    planned = []
    for each in records:
        after = () if each.name == "fit" else ("fit",)
        node = each.name.partition("/")[0]
        empty = {"notebook": "n.ipynb", "kernel": "python3", "language": "python", "cells": ()}
        planned.append(PlannedStep(name=each.name, node=node, after=after, **cast("Any", empty)))
    run = EarlierRun(
        project=Project(root=Path()),
        folder=RunFolder(Path("r")),
        record=RunRecord(
            run="r",
            pipeline="p",
            target="p.yaml",
            result="passed",
            nbci="0",
            steps=records,
            chosen=chosen(name),
        ),
        plan=Plan(pipeline="p", target="p.yaml", steps=tuple(planned)),
        commit=None,
    )
    # No seed is asked for.
    return confirm(run, cast("Any", None))


def test_a_step_that_reads_data_of_its_own_confirms_without_a_doubt() -> None:
    record = confirmed([step("check", 3.0, deps=refs("build/model", "data/test.csv"))])
    assert record.warnings == ()
    found = record.confirmed
    assert found is not None
    assert found.metrics == {"check:loss": 3.0}
    assert found.sentence == "check:loss 3 (1 when it was chosen), by step check"


@pytest.mark.parametrize(
    "files",
    [
        {"deps": refs("build/model")},
        {"deps": refs("build/model", "data")},
        {"observed": (Part(kind="file", label="data/train.csv", digest="d"),)},
        {},
    ],
)
def test_data_that_trials_had_is_warned_of(files: dict[str, Any]) -> None:
    (warning,) = confirmed([step("check", 3.0, **files)]).warnings
    assert warning.startswith("step check read no file that trials neither read nor made")


def test_a_step_that_measures_nothing_confirms_nothing_and_that_is_said() -> None:
    record = confirmed([step("check", None)])
    assert record.warnings == ("the chosen trial was not confirmed: step check measured nothing",)
    assert record.confirmed is not None
    assert record.confirmed.sentence == "not confirmed: step check measured nothing"


def test_of_several_steps_of_a_node_none_is_the_one() -> None:
    read = {"deps": refs("data/test.csv")}
    record = confirmed([step("check/a", 3.0, **read), step("check/b", 4.0, **read)])
    assert record.confirmed is not None
    assert record.confirmed.values == ()
    assert record.confirmed.metrics == {"check/a:loss": 3.0, "check/b:loss": 4.0}
    assert record.confirmed.sentence == "by step check, where none of the objectives was measured"
