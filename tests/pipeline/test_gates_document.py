from __future__ import annotations

import pytest

from nbci.errors import UsageError
from nbci.pipeline.document import read_document
from nbci.pipeline.gates_document import (
    check_gates,
    check_known,
    gate_places,
    read_gates,
    read_metrics,
)
from nbci.pipeline.rules import DeclaredMetric, Gate, SliceRule, Tolerance

HEAD = """\
steps: {train: {notebook: t.ipynb}}
metrics: {accuracy: {direction: up, unit: ratio}, loss: {direction: down}, rows: {}}
gates:
"""


def gates_of(*lines: str) -> tuple[Gate, ...]:
    document = read_document(HEAD + "".join(f"  - {{{line}}}\n" for line in lines), "p.yaml")
    gates = read_gates(document, read_metrics(document))
    check_gates(document, gates, {"C": None}, ("train", "data", "data/load"))
    return gates


def test_gates_are_values() -> None:
    text = (
        "metric: accuracy, baseline: champion, max_drop: 2%, at_least: 0.9, "
        "severity: warn, missing: warn, when: C > 1"
    )
    (gate,) = gates_of(text)
    assert gate == Gate(
        name="accuracy at least 0.9, at most 2% below champion",
        metric="accuracy",
        at_least=0.9,
        baseline="champion",
        max_drop=Tolerance(amount=2.0, percent=True),
        severity="warn",
        when="C > 1",
        missing="warn",
    )


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("metric: rows, between: [1, 2.5]", "between 1 and 2.5"),
        ("metric: rows, at_least: 1, at_most: 2", "between 1 and 2"),
        ("metric: rows, at_least: 1, between: [0, 3]", "between 1 and 3"),
        ("metric: rows, equals: 3", "equals 3"),
        (
            "metric: 'train:loss', baseline: 'run:2026', max_rise: 0.5 %",
            "at most 0.5% above run:2026",
        ),
        (
            "metric: rows, baseline: 'file:./a/../b.json', max_rise: 1, max_drop: 2",
            "at most 2 below file:b.json, at most 1 above file:b.json",
        ),
        ("expr: accuracy >= 0.9 and rows < 50", "accuracy >= 0.9 and rows < 50"),
    ],
)
def test_a_gate_says_what_it_asks(text: str, asked: str) -> None:
    assert gates_of(text)[0].asked == asked


def test_a_metric_may_have_to_be_better_in_its_direction() -> None:
    (gate,) = gates_of("metric: loss, baseline: champion, better: true")
    assert (gate.better, gate.asked) == ("down", "better than champion")


def test_a_distance_in_either_direction_needs_no_direction() -> None:
    (gate,) = gates_of("metric: rows, baseline: champion, within: 5%")
    assert gate.within == Tolerance(amount=5.0, percent=True)
    assert gate.asked == "within 5% of champion"


def test_gates_over_predictions_are_values() -> None:
    flips, slices, move = gates_of(
        "flips: {at_most: 0.5%}",
        "slices: {by: [country, age], metric: accuracy, max_drop: 0.02, min_rows: 30}, "
        "baseline: 'run:latest', step: train, severity: warn",
        "metric: accuracy, baseline: champion, max_drop: 0.01, significant: 0.05",
    )
    assert flips == Gate(
        name="flips at most 0.5% of all cases, compared with champion",
        flips=True,
        at_most=0.5,
        baseline="champion",
    )
    assert slices == Gate(
        name=(
            "accuracy by country, age at most 0.02 below run:latest, in slices of 30 cases or more"
        ),
        slices=SliceRule(by=("country", "age"), metric="accuracy", min_rows=30),
        max_drop=Tolerance(amount=0.02),
        baseline="run:latest",
        step="train",
        severity="warn",
    )
    assert move.asked == "at most 0.01 below champion, or p at least 0.05"
    assert move.significant == 0.05


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("flips: {at_most: 0.07}", "at most 7% of all cases, compared with champion"),
        ("flips: {at_most: 0}", "at most 0% of all cases, compared with champion"),
        (
            "slices: {by: country, metric: mean_absolute_error, max_rise: 5%, min_rows: 1}",
            "at most 5% above champion, in slices of 1 case or more",
        ),
        (
            "slices: {by: country, metric: accuracy, max_drop: 0.1}, significant: 0.05",
            "at most 0.1 below champion, or p at least 0.05, in slices of 50 cases or more",
        ),
        (
            "metric: accuracy, baseline: champion, better: true, significant: 0.05",
            "better than champion, p below 0.05",
        ),
        (
            "metric: 'train:accuracy', baseline: champion, within: 1%, significant: 0.01",
            "within 1% of champion, or p at least 0.01",
        ),
    ],
)
def test_a_gate_over_predictions_says_what_it_asks(text: str, asked: str) -> None:
    assert gates_of(text)[0].asked == asked


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("flips: {at_most: 101%}", "line 4, column 23: at_most: '101%' is no share", "0.5%"),
        ("flips: {at_most: few}", "at_most: 'few' is no share of the cases", "0.5%"),
        ("flips: {at_most: .nan}", "is no share of the cases", "0.5%"),
        ("flips: {at_most: 2}", "2 is greater than the maximum of 1", None),
        ("flips: {at_most: -1}", "-1 is less than the minimum of 0", None),
        ("flips: {}", "'at_most' is missing", None),
        ("flips: {atmost: 1%}", "'at_most' is missing", "did you mean 'at_most'?"),
        (
            "flips: {at_most: 1%}, at_most: 2",
            "line 4, column 37: `at_most` does not go with `flips`",
            "two gates",
        ),
        ("flips: {at_most: 1%}, metric: accuracy", "`metric` does not go with `flips`", "two"),
        (
            "flips: {at_most: 1%}, slices: {by: a, metric: accuracy, max_drop: 1}",
            "`slices` does not go with `flips`",
            "two gates",
        ),
        ("expr: rows > 1, flips: {at_most: 1%}", "`flips` does not go with `expr`", "two gates"),
        (
            "flips: {at_most: 1%}, baseline: 'file:best.json'",
            "line 4, column 38: `flips` compares predictions, and a file of metrics has none",
            "run:ID",
        ),
        (
            "slices: {by: label, metric: accuracy, max_drop: 1}",
            "line 4, column 19: by: the column 'label' makes no slices",
            "beside label",
        ),
        (
            "slices: {by: [country, score_1], metric: accuracy, max_drop: 1}",
            "by: the column 'score_1' makes no slices",
            None,
        ),
        (
            "slices: {by: [], metric: accuracy, max_drop: 1}",
            "by: expected at least 1 entry, found an empty list",
            None,
        ),
        (
            "slices: {by: country, metric: accurcy, max_drop: 1}",
            "found \"accurcy\" in gate 1 (did you mean 'accuracy'?)",
            None,
        ),
        (
            "slices: {by: country, metric: accuracy}",
            "line 4, column 14: the gate asks nothing of accuracy in its slices",
            "add max_drop",
        ),
        (
            "slices: {by: country, metric: accuracy, max_rise: 0.1}",
            "line 4, column 56: `max_rise` limits the good direction of accuracy",
            "did you mean 'max_drop'?",
        ),
        (
            "slices: {by: country, metric: mean_squared_error, max_rise: 1, max_drop: 1}",
            "`max_drop` limits the good direction of mean_squared_error",
            "did you mean 'max_rise'?",
        ),
        (
            "slices: {by: country, metric: accuracy, max_drop: two}",
            "line 4, column 56: max_drop: 'two' is no distance",
            "2%",
        ),
        (
            "slices: {by: country, metric: accuracy, max_drop: 1, min_rows: 0}",
            "line 4, column 69: min_rows: 0 is less than the minimum of 1",
            None,
        ),
        (
            "metric: accuracy, at_least: 0.9, significant: 0.05",
            "line 4, column 52: `significant` goes with one of max_drop",
            "how far",
        ),
        (
            "metric: loss, baseline: champion, max_rise: 1, significant: 0.05",
            "predictions do not give loss: whether it moved by chance cannot be told",
            "it goes with accuracy, mean_absolute_error, mean_squared_error",
        ),
        (
            "metric: accuracy, baseline: champion, max_drop: 1, significant: .nan",
            "is no level of a p-value",
            "0.05",
        ),
        (
            "metric: accuracy, baseline: champion, max_drop: 1, significant: 1",
            "1 is greater than or equal to the maximum of 1",
            None,
        ),
        (
            "metric: accuracy, baseline: 'file:a.json', max_drop: 1, significant: 0.05",
            "`significant` compares predictions, and a file of metrics has none",
            "run:ID",
        ),
        ("metric: rows, at_most: 1, step: train", "`step` names whose predictions", "flips"),
    ],
)
def test_mistakes_in_gates_over_predictions_are_errors_at_their_place(
    line: str, message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        gates_of(line)
    assert str(caught.value).startswith("p.yaml, line 4, column ")
    assert message in str(caught.value)
    assert hint is None or hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (
            ["metric: rows"],
            "line 4, column 14: the gate asks nothing of rows",
            "add one of at_least",
        ),
        (
            ["metric: rows, at_least: 3, at_most: 2"],
            "line 4, column 42: no value of rows is all of this",
            None,
        ),
        (
            ["metric: rows, between: [3, 2]"],
            "line 4, column 29: between: 3 is more than 2",
            "write [2, 3]",
        ),
        (
            ["metric: rows, equals: 4, at_most: 3"],
            "no value of rows is all of this: at_most 3, equals 4",
            None,
        ),
        (
            ["metric: rows, at_least: .nan"],
            "line 4, column 30: at_least: nan is no bound",
            "finite",
        ),
        (["metric: rows, at_most: .inf"], "at_most: inf is no bound", "finite"),
        (
            ["metric: rows, at_most: 2", "metric: rows, at_least: 3"],
            (
                "line 5, column 14: no value of rows passes both gate 1 (at most 2) and "
                "gate 2 (at least 3)"
            ),
            "change one",
        ),
        (
            ["metric: rows, at_most: 2", "metric: rows, at_most: 2"],
            "has the name of gate 1",
            "another `name:`",
        ),
        (
            ["metric: rows, baseline: champion, max_drop: 1"],
            "needs to know which way rows is better",
            "declare it",
        ),
        (
            ["metric: loss, baseline: champion, max_drop: 1"],
            "line 4, column 50: `max_drop` limits the good direction: lower is better for loss",
            "'max_rise'",
        ),
        (
            ["metric: accuracy, baseline: champion, max_rise: 1"],
            "higher is better for accuracy",
            "'max_drop'",
        ),
        (
            ["metric: rows, baseline: champion, better: true"],
            "`better` needs to know which way rows is better",
            "declare it: `metrics: {rows: {direction: up}}`",
        ),
        (["metric: accuracy, better: true"], "`better` compares with a baseline", "add `baseline"),
        (
            ["metric: accuracy, baseline: champion, better: false"],
            "expected true, found false",
            None,
        ),
        (["metric: accuracy, max_drop: 1"], "`max_drop` compares with a baseline", "add `baseline"),
        (["metric: accuracy, within: 5%"], "`within` compares with a baseline", "add `baseline"),
        (["metric: rows, baseline: champion, within: five"], "within: 'five' is no distance", "2%"),
        (
            ["metric: rows, baseline: champion, within: -1"],
            "-1 is less than the minimum of 0",
            None,
        ),
        (["metric: accuracy, baseline: champion, at_least: 1"], "`baseline` goes with", "how far"),
        (
            ["metric: accuracy, baseline: champoin, max_drop: 1"],
            "line 4, column 34: unknown baseline 'champoin' (did you mean 'champion'?)",
            "run:ID",
        ),
        (["metric: accuracy, baseline: 'run:', max_drop: 1"], "unknown baseline 'run:'", "run:ID"),
        (["metric: accuracy, baseline: run, max_drop: 1"], "unknown baseline 'run'", "run:ID"),
        (
            ["metric: accuracy, baseline: 'file:../x', max_drop: 1"],
            "lies outside the project",
            None,
        ),
        (
            ["metric: accuracy, baseline: champion, max_drop: some"],
            "max_drop: 'some' is no distance",
            "2%",
        ),
        (
            ["metric: accuracy, baseline: champion, max_drop: -1"],
            "-1 is less than the minimum of 0",
            None,
        ),
        (["metric: accuracy, baseline: champion, max_drop: '-1%'"], "'-1%' is no distance", "2%"),
        (
            ["expr: accuracy > 1, at_least: 2"],
            "line 4, column 36: `at_least` does not go with `expr`",
            "two gates",
        ),
        (["expr: accuracy +"], "line 4, column 12: 'accuracy +' is no gate", "compare names"),
        (["expr: open(1) > 1"], "'open(1)' is not allowed in the gate", "compare names"),
        (["expr: accuracy + 1"], "is neither true nor false", ">= 0.9"),
        (["expr: 1 < 2"], "names no metric", None),
        (["metric: rows, at_most: 2, when: D > 1"], "line 4, column 38: unknown name 'D'", None),
        (
            ["metric: 'trian:rows', at_most: 2"],
            "gate 1 judges trian:rows, but there is no step 'trian'",
            "train:rows",
        ),
        (["expr: 'tidy:rows < 2'"], "there is no step 'tidy'", "steps: train, data, data/load"),
    ],
)
def test_mistakes_are_errors_at_their_place(
    lines: list[str], message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        gates_of(*lines)
    assert str(caught.value).startswith("p.yaml, line ")
    assert message in str(caught.value)
    assert hint is None or hint in str(caught.value.hint)


def test_gates_of_different_conditions_may_ask_for_opposites() -> None:
    assert (
        len(
            gates_of(
                "metric: rows, at_most: 2, when: C > 1", "metric: rows, at_least: 3, when: C <= 1"
            )
        )
        == 2
    )


def known(line: str, *names: str, certain: bool = True) -> tuple[str, ...]:
    document = read_document(
        HEAD + f"  - {{{line}}}\n  - {{metric: 'data/load:rows', at_most: 4}}\n", "p.yaml"
    )
    declared: dict[str, DeclaredMetric] = {}
    names = (*names, "data/load:rows")
    return check_known(
        read_gates(document, declared), gate_places(document), names, certain=certain
    )


def test_metrics_that_steps_measure_are_known() -> None:
    assert known("metric: data:rows, at_least: 2", "train:accuracy") == ()
    assert known("metric: accuracy, at_least: 2", "train:accuracy", "accuracy") == ()
    assert known("expr: accuracy > 1 and data/load:rows < 3", "train:accuracy") == ()


def test_what_no_step_is_seen_to_measure_is_a_warning_or_an_error() -> None:
    assert known("metric: acuracy, at_least: 2", "train:accuracy", certain=False) == (
        (
            "p.yaml, line 4, column 14: gate 1 judges the metric 'acuracy', which no "
            "step is seen to measure "
            "(did you mean 'accuracy'?)"
        ),
    )
    with pytest.raises(
        UsageError,
        match=r"line 4, column 14: .*no step is seen to measure \(did you mean 'accuracy'",
    ):
        known("metric: acuracy, at_least: 2", "train:accuracy")


def test_a_short_name_that_several_steps_have_is_an_error() -> None:
    with pytest.raises(
        UsageError, match="gate 1 judges rows, which several steps measure"
    ) as caught:
        known("metric: rows, at_least: 2", "train:rows")
    assert caught.value.hint == "write one of train:rows, data/load:rows"


def test_contradictions_are_seen_through_short_and_full_names() -> None:
    with pytest.raises(
        UsageError, match=r"passes both gate 1 \(at least 5\) and gate 2 \(at most 4\)"
    ):
        known("metric: rows, at_least: 5")
