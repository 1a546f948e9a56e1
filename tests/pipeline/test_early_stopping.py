from __future__ import annotations

from typing import Any

import pytest

from nbci.errors import UsageError
from nbci.pipeline.early_stopping import (
    Pruning,
    check_report,
    is_same_metric,
    parse_pruning,
    pattern_of,
    read_pruning,
)
from tests.pipeline.test_compose import refused
from tests.pipeline.test_sweeps_document import HEAD, sweep_of

SWEEP = "params: {n: [1, 2]}, objective: accuracy, method: grid, "


def test_what_prunes_is_read_from_a_file() -> None:
    found = sweep_of(
        f"{SWEEP} prune: {{on: 'a:other', by: percentile, percentile: 50, warmup_steps: 2,"
        " direction: minimize}, report: 'other=([0-9]+)'"
    )
    assert found.prune == Pruning(
        on="a:other", by="percentile", percentile=50, warmup_steps=2, direction="minimize"
    )
    assert found.report == "other=([0-9]+)"
    # What is watched may be the objective itself, whose direction is known.
    assert sweep_of(f"{SWEEP} prune: {{on: 'a:accuracy'}}").prune == Pruning(on="a:accuracy")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("prune: {on: 'b:accuracy'}", "there is no step 'b'"),
        ("prune: {on: other}", "does not know whether more of other is better"),
        ("prune: {on: accuracy, patience: 3}", "`patience` says nothing to the pruner median"),
        ("prune: {on: accuracy, by: patient, warmup_trials: 3}", "nothing to the pruner patient"),
        ("prune: {on: accuracy, by: never}", 'found "never" in sweep best'),
        ("prune: {on: accuracy}, report: '[0-9'", "`report` is no regular expression"),
        ("prune: {on: accuracy}, report: 'x=.+'", "`report` has 0 groups for the value"),
        ("report: 'x=(.+)'", "nothing asks for them"),
    ],
)
def test_what_prunes_nothing_is_refused_with_its_line(fields: str, message: str) -> None:
    error = refused(f"{HEAD}sweeps:\n  best: {{{SWEEP}{fields}}}\n")
    assert message in error.message
    assert error.where is not None
    assert error.where.line == 5


def test_pruning_takes_one_objective() -> None:
    several = "params: {n: [1]}, objective: [accuracy, 'a:accuracy'], prune: {on: accuracy}"
    error = refused(f"{HEAD}sweeps:\n  best: {{{several}, method: grid}}\n")
    assert "`prune` takes one objective, and there are 2" in error.message


@pytest.mark.parametrize("report", ["(a)(b)", "(?P<step>a)", "(?P<step>a)(b)(c)", "(?:a)"])
def test_a_pattern_has_one_group_for_the_value(report: str) -> None:
    with pytest.raises(UsageError, match="groups for the value"):
        pattern_of(report, None)


def test_a_report_of_nothing_is_none() -> None:
    check_report(None, None, None)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("loss", {"on": "loss"}),
        ("a:loss", {"on": "a:loss"}),
        ("a:loss:patient", {"on": "a:loss", "by": "patient"}),
        (
            "loss:percentile:maximize",
            {"on": "loss", "by": "percentile", "direction": "maximize"},
        ),
        ("loss:minimize", {"on": "loss", "direction": "minimize"}),
    ],
)
def test_the_command_line_names_metric_pruner_and_direction(
    text: str, fields: dict[str, Any]
) -> None:
    assert parse_pruning(text) == read_pruning(fields, None)


def test_the_command_line_names_a_metric() -> None:
    with pytest.raises(UsageError, match="names no metric"):
        parse_pruning(":median")


def test_two_names_mean_one_metric_unless_they_name_two_steps() -> None:
    assert is_same_metric("loss", "a:loss")
    assert is_same_metric("a:loss", "a:loss")
    assert not is_same_metric("a:loss", "b:loss")
    assert not is_same_metric("loss", "val_loss")
