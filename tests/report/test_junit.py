from __future__ import annotations

from xml.etree import ElementTree

from nbci.plan.model import PlannedCell
from nbci.records.run_record import Attempt, Failure, RunRecord, StepRecord
from nbci.records.verdict import GateResult, Override, Verdict
from nbci.report.data.view import build_shown_steps
from nbci.report.junit import junit, monitor_junit
from tests.report import monitor_samples
from tests.report import report_samples as samples


def suites(record: RunRecord, **notebooks: object) -> dict[str, ElementTree.Element]:
    steps = build_shown_steps(record, samples.FAILED_PLAN, notebooks)  # type: ignore[arg-type]  # tests hand in plain dicts
    return {suite.get("name", ""): suite for suite in ElementTree.fromstring(junit(record, steps))}


def failed(failure: Failure, *cells: object, name: str = "models/train") -> StepRecord:
    attempt = Attempt(
        number=1,
        result="failed",
        started_utc="",
        seconds=1,
        failure=failure,
        cells=cells,  # type: ignore[arg-type]  # cells are CellRun
    )
    return StepRecord(name=name, result="failed", attempts=(attempt,))


def tags_in(case: ElementTree.Element) -> list[str]:
    return [child.tag for child in case]


def test_case_for_each_code_cell_with_its_result() -> None:
    suite = suites(samples.FAILED, **{"models/train": samples.FAILED_NOTEBOOK})["models/train"]
    cases = [(case.get("name"), case.get("time"), tags_in(case)) for case in suite]
    assert cases == [
        ("injected parameters", "0.001", []),
        ("cell 2: import numpy as np", "0.410", []),
        ("cell 5: model = SVC(C=C)", "3.200", ["failure", "system-out"]),
        ("cell 6: score = model.score(X_test, y_test)", "0.000", ["skipped"]),
    ]
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "skipped": "1",
    }
    failure = suite[2][0]
    assert failure.get("type") == "ValueError"
    assert (
        failure.get("message")
        == "cell 5 raised ValueError: Input X contains NaN <script>alert(1)</script>"
    )
    assert "----> 2 model.fit(X, y)" in (failure.text or "")


def test_a_failure_leads_to_its_cell_in_the_report() -> None:
    steps = build_shown_steps(
        samples.FAILED, samples.FAILED_PLAN, {"models/train": samples.FAILED_NOTEBOOK}
    )
    text = junit(samples.FAILED, steps, "https://jenkins.example/job/a/3/Report/").decode()

    assert "Report: https://jenkins.example/job/a/3/Report/steps/models__train.html#cell-3" in text
    assert "Report: " not in junit(samples.FAILED, steps).decode()


def test_skipped_step_has_one_skipped_case() -> None:
    (case,) = suites(samples.FAILED)["evaluate"]
    assert [child.get("message") for child in case] == ["models/train failed"]


def test_dots_in_names_make_no_packages() -> None:
    record = samples.run(StepRecord(name="v1.2/train.ipynb", result="passed"), pipeline="digits.v2")
    (case,) = suites(record)["v1.2/train.ipynb"]
    assert case.get("classname") == "digits_v2.v1_2/train_ipynb"


def test_failure_of_no_cell_is_a_case_of_its_own() -> None:
    record = samples.run(
        failed(
            Failure(kind="kernel-start", message="no kernel"), samples.ran(1, "a", result="passed")
        )
    )
    passed, step = suites(record)["models/train"]
    assert passed.find("failure") is None
    assert [(child.tag, child.get("type"), child.get("message")) for child in step] == [
        ("failure", "kernel-start", "no kernel")
    ]


def test_output_stays_below_what_jenkins_cuts() -> None:
    failure = Failure(kind="exception", message="m" * 5000, cell=5, traceback="é" * 200_000)
    notebook = samples.notebook(samples.code_cell("a", samples.stream("ü" * 200_000 + "the end")))
    record = samples.run(failed(failure, samples.ran(5, "a", result="failed")))
    (case,) = suites(record, **{"models/train": notebook})["models/train"]
    texts = [child.text or "" for child in case]
    assert all(80_000 < len(text.encode()) < 100_000 for text in texts)
    assert texts[1].endswith("the end")


def test_characters_that_xml_forbids_are_replaced() -> None:
    record = samples.run(
        failed(Failure(kind="exit", message="\x00\x1b[31mred\ud800\ufffe"), samples.ran(1, "x\x08"))
    )
    cell, step = suites(record)["models/train"]
    assert cell.get("name") == "cell 1: x\ufffd"
    assert step[0].get("message") == "\ufffdred\ufffd\ufffd"


def test_reused_step_lists_its_cells_as_passed() -> None:
    (case,) = suites(samples.FAILED)["prepare"]
    assert case.get("name") == "cell 3: X, y = load_digits(return_X_y=True)"
    assert [child.tag for child in case] == ["system-out"]


def test_step_that_runs_still_is_skipped() -> None:
    (case,) = suites(samples.run(StepRecord(name="prepare", result="running"), result="running"))[
        "prepare"
    ]
    assert [child.tag for child in case] == ["skipped"]


def test_planned_cells_hold_their_place_when_nothing_ran() -> None:
    plan = samples.plan(samples.planned("a", PlannedCell(role="step", number=1, source="x = 1")))
    record = samples.run(failed(Failure(kind="kernel-start", message="no kernel"), name="a"))
    (suite,) = ElementTree.fromstring(junit(record, build_shown_steps(record, plan, {})))
    assert [(case.get("name"), case[0].tag) for case in suite] == [
        ("cell 1: x = 1", "skipped"),
        ("step", "failure"),
    ]


def test_each_gate_is_a_case_that_fails_where_it_refuses() -> None:
    signed = Override(gate="d", by="Ada", reason="known", at_utc="", asked="at most 1")
    verdict = Verdict(
        result="failed",
        judged_utc="",
        gates=(
            GateResult(
                gate="a", asked="at least 1", result="failed", reason="misses by 0.5", found=0.5
            ),
            GateResult(
                gate="b",
                asked="at least 1",
                result="warned",
                reason="misses by 0.5",
                severity="warn",
            ),
            GateResult(
                gate="c",
                asked="at least 1",
                result="left out",
                reason="its condition `x` does not hold",
            ),
            GateResult(
                gate="d", asked="at most 1", result="failed", reason="misses by 1", override=signed
            ),
        ),
    )
    suite = suites(samples.run(verdict=verdict))["gates"]
    assert [(case.get("name"), tags_in(case)) for case in suite] == [
        ("a", ["failure"]),
        ("b", ["system-out"]),
        ("c", ["skipped"]),
        ("d", ["system-out"]),
    ]
    assert (suite[0][0].get("message"), suite[0][0].text) == (
        "misses by 0.5",
        "asked: at least 1; found: 0.5; misses by 0.5",
    )
    assert "overridden by Ada: known" in (suite[3][0].text or "")
    assert [suite.get(name) for name in ("tests", "failures", "skipped", "errors")] == [
        "4",
        "1",
        "1",
        "0",
    ]


def test_a_monitor_has_a_case_for_each_rule_and_each_column() -> None:
    root = ElementTree.fromstring(monitor_junit(monitor_samples.ordinary()))
    assert (root.get("tests"), root.get("failures")) == ("18", "3")
    rules, columns = root
    assert [tags_in(case) for case in rules] == [
        ["failure"],
        ["system-out"],
        ["failure"],
        ["system-out"],
    ]
    failed_columns = columns.findall("testcase/failure/..")
    assert [case.get("name") for case in failed_columns] == ["alcohol"]
    message = failed_columns[0][0].get("message") or ""
    assert message.startswith("alcohol: PSI 0.31, more than 0.2; p < 0.001; missing 1.25")
    assert failed_columns[0].get("classname") == "wine.monitor.columns"


def test_columns_that_were_not_compared_are_skipped() -> None:
    _, columns = ElementTree.fromstring(monitor_junit(monitor_samples.empty()))
    assert columns.get("skipped") == columns.get("tests") == "13"


def test_a_monitor_of_nothing_and_one_of_hostile_names_are_valid() -> None:
    nothing = ElementTree.fromstring(monitor_junit(monitor_samples.result()))
    assert (nothing.get("tests"), nothing.get("failures")) == ("1", "0")
    text = monitor_junit(monitor_samples.hostile())
    hostile = ElementTree.fromstring(text)
    assert int(hostile.get("tests") or 0) > 20
    text.encode()
