from __future__ import annotations

from typing import Any

from nbci.records.run_record import StepRecord
from nbci.report.data.matrices import axis_values, matrices_of
from nbci.report.data.view import ShownStep, build_shown_steps
from tests.report import report_samples as samples


def shown(**matrices: dict[str, Any] | None) -> tuple[ShownStep, ...]:
    """Steps by their names, `__` for a slash, each with its combination."""
    plans, records = [], []
    for text, matrix in matrices.items():
        name = text.replace("__", "/")
        node = name.partition("/")[0]
        plans.append(samples.planned(name, node=node, matrix=matrix))
        records.append(StepRecord(name=name, result="passed"))
    return build_shown_steps(samples.run(*records), samples.plan(*plans), {})


def test_combinations_of_a_node_belong_together_step_by_step() -> None:
    a, b = {"model": "forest", "C": 0.5}, {"model": "svm", "C": None}
    steps = shown(load=None, t__a__fit=a, t__a__score=a, t__b__fit=b, t__b__score=b, u__a=a, u__b=b)
    found = matrices_of(steps)
    assert [matrix.title for matrix in found] == ["t/*/fit", "t/*/score", "u"]
    assert len({matrix.anchor for matrix in found}) == 3
    assert [step.record.name for step in found[0].steps] == ["t/a/fit", "t/b/fit"]
    assert found[0].axes == ("model", "C")
    assert [axis_values(step, found[0].axes) for step in found[0].steps] == [
        ["forest", "0.5"],
        ["svm", "null"],
    ]


def test_a_single_combination_is_a_step_like_others() -> None:
    assert matrices_of(shown(t__a={"model": "forest"}, load=None)) == ()
