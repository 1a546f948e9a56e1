from __future__ import annotations

import pytest

from nbci.errors import UsageError
from nbci.pipeline.confirmation import Confirmation, refuse_seen
from tests.pipeline.test_compose import composed, refused

HEAD = """\
steps:
  a: {notebook: nb/whole.ipynb, params: {C: "${C}"}}
  b: {notebook: nb/whole.ipynb, after: [a]}
metrics: {accuracy: {direction: up}}
params: {C: 1.0, seed: 3, late: null, kind: x}
"""


def with_sweep(confirm: str, params: str = "C: [1, 2]", more: str = "") -> str:
    fields = f"params: {{{params}}}, objective: 'a:accuracy', method: grid, confirm: {confirm}"
    return f"{HEAD}{more}sweeps:\n  best: {{{fields}}}\n"


@pytest.mark.parametrize(
    ("confirm", "found"),
    [("b", Confirmation(step="b")), ("{seeds: 5}", Confirmation(seeds=5))],
)
def test_a_sweep_says_how_its_best_one_is_confirmed(confirm: str, found: Confirmation) -> None:
    assert composed(with_sweep(confirm)).sweeps["best"].confirm == found


@pytest.mark.parametrize(
    ("confirm", "params", "more", "message"),
    [
        ("c", "C: [1, 2]", "", "there is no step 'c' to confirm with"),
        ("{seeds: 1}", "C: [1, 2]", "", "seeds"),
        ("{seeds: 2, step: b}", "C: [1, 2]", "", "unknown key 'step'"),
        ("{seeds: 5}", "seed: [1, 2]", "", "the seed seed is searched, so other values of it"),
        (
            "{seeds: 5}",
            "late: [1, 2]",
            "seeds: {parameter: late, values: 2}\n",
            "the seed late is searched",
        ),
    ],
)
def test_what_confirms_nothing_is_refused_with_its_line(
    confirm: str, params: str, more: str, message: str
) -> None:
    error = refused(with_sweep(confirm, params, more))
    assert message in error.message
    assert error.where is not None


def test_a_pipeline_without_a_seed_has_none_to_confirm_with() -> None:
    error = refused(with_sweep("{seeds: 5}").replace("seed: 3, ", ""))
    assert "`seeds` need the parameter seed" in error.message


def test_a_step_that_trials_run_confirms_nothing() -> None:
    ran = {"a/fit": "a"}
    for step in ("a/fit", "a"):
        with pytest.raises(UsageError, match=f"trials run the step {step}"):
            refuse_seen(Confirmation(step=step), ran)
    refuse_seen(Confirmation(step="b"), ran)
    refuse_seen(Confirmation(seeds=2), ran)
    refuse_seen(None, ran)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            "metric: accuracy, of: confirmed, baseline: champion, max_drop: 1",
            "`baseline` does not go with `of: confirmed`",
        ),
        ("expr: accuracy > 1, of: confirmed", "`of` does not go with `expr`"),
        ("flips: {at_most: 1%}, of: confirmed", "`of` does not go with `flips`"),
        ("metric: accuracy, of: best, at_least: 1", "best"),
    ],
)
def test_a_confirmed_value_has_fixed_bounds(gate: str, message: str) -> None:
    assert message in refused(f"{HEAD}gates: [{{{gate}}}]\n").message


def test_a_confirmed_value_and_a_runs_own_are_two() -> None:
    found = composed(
        f"{HEAD}gates:\n  - {{metric: accuracy, of: confirmed, at_least: 0.9}}\n"
        "  - {metric: accuracy, at_most: 0.8}\n"
    )
    assert [gate.asked for gate in found.gates] == ["at least 0.9, confirmed", "at most 0.8"]
