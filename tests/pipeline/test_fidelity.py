from __future__ import annotations

from typing import Any

import pytest

from nbci.errors import UsageError
from nbci.pipeline.fidelity import Fidelity, parse_fidelity
from tests.pipeline.test_compose import refused
from tests.pipeline.test_sweeps_document import HEAD, sweep_of

SWEEP = "params: {C: [1, 2]}, objective: accuracy, budget: {trials: 3}"


@pytest.mark.parametrize(
    ("low", "high", "eta", "rungs", "steps"),
    [
        (1, 27, 3, (1, 3, 9, 27), (1, 3, 9, 27)),
        (2, 16, 2, (2, 4, 8, 16), (2, 4, 8, 16)),
        # The last rung is as far from the one before as the others, or a little further.
        (1, 10, 3, (1, 3, 10), (1, 3, 9)),
        (1, 26, 3, (1, 3, 26), (1, 3, 9)),
        (4, 10, 3, (4, 10), (4, 12)),
        (0.1, 0.9, 3, (0.1, 0.3, 0.9), (1, 3, 9)),
    ],
)
def test_rungs_are_multiples_of_each_other(
    low: float, high: float, eta: int, rungs: tuple[float, ...], steps: tuple[int, ...]
) -> None:
    fidelity = Fidelity(param="n", low=low, high=high, eta=eta)
    assert fidelity.rungs == pytest.approx(rungs)
    assert fidelity.rungs[-1] == high
    assert fidelity.steps == steps


def test_a_budget_is_read_with_values_as_its_parameter_has_them() -> None:
    found = sweep_of(
        f"{SWEEP}, method: hyperband, fidelity: {{param: n, low: 1, high: 9, resume_from: a/b}}"
    )
    assert found.fidelity == Fidelity(param="n", low=1, high=9, resume_from="a/b")
    searched = SWEEP.replace("C: [1, 2]", "n: [1, 2]")
    found = sweep_of(f"{searched}, method: hyperband, fidelity: {{param: C, low: 1, high: 4}}")
    assert found.fidelity is not None
    assert isinstance(found.fidelity.low, float)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("fidelity: {param: m, low: 1, high: 3}", "the parameter m, which the pipeline does not"),
        ("fidelity: {param: C, low: 1, high: 3}", "C is searched, and the `fidelity` of trials"),
        ("fidelity: {param: kernel, low: 1, high: 3}", "the parameter kernel is no number"),
        ("fidelity: {param: n, low: 1.5, high: 3}", "the parameter n takes int, not 1.5"),
        ("fidelity: {param: n, low: 3, high: 3}", "not from 3 to 3"),
        ("fidelity: {param: n, low: 0, high: 3}", "not from 0 to 3"),
        ("fidelity: {param: n, low: 1, high: 3, eta: 1}", "`eta` of `fidelity` is 1"),
        ("seed: 1", "the method hyperband needs to know of which parameter"),
        ("fidelity: {param: n, low: 1, high: 3}, prune: {on: accuracy}", "`prune` would decide"),
    ],
)
def test_a_budget_that_is_none_is_refused_with_its_line(fields: str, message: str) -> None:
    error = refused(f"{HEAD}sweeps:\n  best: {{{SWEEP}, method: hyperband, {fields}}}\n")
    assert message in error.message
    assert error.where is not None
    assert error.where.line == 5


def test_other_methods_give_out_no_budget_and_hyperband_takes_one_objective() -> None:
    budget = "fidelity: {param: n, low: 1, high: 3}"
    error = refused(f"{HEAD}sweeps:\n  best: {{{SWEEP}, {budget}}}\n")
    assert "`fidelity` goes with the method hyperband, and this is tpe" in error.message
    several = SWEEP.replace("objective: accuracy", "objective: [accuracy, 'a:accuracy']")
    error = refused(f"{HEAD}sweeps:\n  best: {{{several}, method: hyperband, {budget}}}\n")
    assert "the method hyperband takes one objective, and there are 2" in error.message


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("n=1..27", {"param": "n", "low": 1, "high": 27}),
        ("n=0.1..1e0:2", {"param": "n", "low": 0.1, "high": 1.0, "eta": 2}),
    ],
)
def test_the_command_line_has_a_short_form(text: str, fields: dict[str, Any]) -> None:
    assert parse_fidelity(text) == fields


@pytest.mark.parametrize("text", ["n", "n=1", "=1..2", "n=a..2", "n=1..2:x", "n=1..2:0.5"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not name=low\.\.high"):
        parse_fidelity(text)
