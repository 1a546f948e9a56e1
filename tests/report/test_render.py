from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nbci.records.run_record import Attempt, Failure, Metric, ParameterValue, StepRecord
from nbci.report.data.material import Material, ShownRun
from nbci.report.render import render_report
from tests.report import report_samples as samples
from tests.report.report_pages import pages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord

GOLDEN = Path(__file__).parent / "golden"
# Read here: while tests run, no variable of nbci's is set.
UPDATE = bool(os.environ.get("NBCI_UPDATE_GOLDEN"))


def material(record: RunRecord, plan: Plan, notebooks: Mapping[str, Any]) -> Material:
    return Material(run=ShownRun(record=record, plan=plan, notebooks=notebooks))


RUNS: dict[str, Material] = {
    "passed": material(samples.PASSED, samples.PLAN, {"models/train": samples.TRAIN_NOTEBOOK}),
    "failed": material(
        samples.FAILED, samples.FAILED_PLAN, {"models/train": samples.FAILED_NOTEBOOK}
    ),
    "compared": samples.compared(),
}


def normalised(content: bytes) -> str:
    """One tag a line, so that a difference in a golden file can be read."""
    return re.sub(r"><(?=[!/a-z])", ">\n<", content.decode())


@pytest.mark.parametrize("name", RUNS)
def test_report_is_the_golden_one(name: str) -> None:
    files = render_report(RUNS[name])
    texts = {
        path: normalised(content)
        for path, content in files.items()
        if path.endswith((".html", ".md", ".xml"))
    }
    folder = GOLDEN / name
    if UPDATE:
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    known = {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert texts == known


@pytest.mark.parametrize("name", RUNS)
def test_pages_keep_to_the_policy_and_lead_to_what_is_there(name: str) -> None:
    files = render_report(RUNS[name])
    assert "index.html" in pages(files)
    for path, content in files.items():
        if path.endswith(".html"):
            assert b"<script" not in content
            assert b"data:" not in content


def test_the_same_values_give_the_same_bytes() -> None:
    assert render_report(RUNS["passed"]) == render_report(RUNS["passed"])


def test_style_sheet_asks_for_nothing_outside() -> None:
    style = render_report(RUNS["passed"])["style.css"].decode()
    assert "url(" not in style
    assert "@import" not in style


def test_failed_run_leads_with_the_failure() -> None:
    text = pages(render_report(RUNS["failed"]))["index.html"].text
    order = [
        "digits ✗ failed",
        "Step models/train failed",
        "cell 5 raised ValueError",
        "drop the rows",
        "cell 5, line 2: model.fit(X, y)",
        "----> 2 model.fit(X, y)",
        "fitting 1797 digits",
        "[IPKernelApp]",
        "May it go out?",
        "Can I trust the run?",
    ]
    assert sorted(order, key=text.index) == order


def test_index_says_what_went_in_and_what_came_out() -> None:
    text = pages(render_report(RUNS["passed"]))["index.html"].text
    expected = (
        "The run passed: 2 steps in 12.4 s; 1 reused.",
        "4f2a9c1e7b3d5f60718293a4b5c6d7e8f9012345 on main, with changes that are not committed",
        "0.972222",
        "higher is better",
        "NaN",
        "infinity",
        "187 MB",
        "nbci run pipelines/digits.yaml -p C=10 -p 'note=two words'",
        "scikit-learn",
        "models/train: an exception in thread",
    )
    assert [words for words in expected if words not in text] == []


def test_step_page_shows_cells_with_outputs() -> None:
    files = render_report(RUNS["passed"])
    page = pages(files)["steps/models__train.html"]
    assert files["images/models__train/cell-5-1.png"] == samples.png()
    assert page.images[0]["alt"].endswith(
        "cell 6 of step models/train: ConfusionMatrixDisplay.from_predictions(y, guess)"
    )
    assert "zero & none" in page.text
    assert "# <b>not bold</b>" in page.text
    assert "100%" in page.text
    assert "50%" not in page.text
    assert "Output: 60 lines, the last: epoch 59" in page.text
    assert "steps/models/train/files/cell-7.txt" in page.text
    assert "the kernel did not start within 60 s" in page.text


def test_step_without_notebook_is_shown_from_the_plan() -> None:
    page = pages(render_report(RUNS["passed"]))["steps/prepare.html"]
    assert "X, y = load_digits(return_X_y=True)" in page.text


def test_killed_run_shows_steps_that_were_not_reached() -> None:
    record = samples.run(samples.TRAIN, result="interrupted", seconds=None, git=None, command=())
    files = render_report(material(record, samples.FAILED_PLAN, {}))
    index = pages(files)["index.html"].text
    assert "The run was interrupted before its end" in index
    assert "the run ended before this step began" in index
    assert "nbci run pipelines/digits.yaml" in index
    assert "steps/evaluate.html" in files


def test_a_build_is_run_again_from_its_target() -> None:
    command = ("nbci", "finish", "--plan", ".nbci/build/plan.json", "--store", ".nbci/build/store")
    params = (
        ParameterValue(name="C", value=10.0, source="environment NBCI_PARAM_C"),
        ParameterValue(name="note", value="two words", source="-p"),
        ParameterValue(name="seed", value=7, source="notebooks/digits.ipynb"),
    )
    record = samples.run(samples.TRAIN, result="failed", command=command, params=params)
    index = pages(render_report(material(record, samples.FAILED_PLAN, {})))["index.html"].text
    assert "nbci run pipelines/digits.yaml -p C=10.0 -p 'note=two words'" in index
    assert "--store" not in index
    assert "--resume" not in index


def test_names_of_steps_cannot_leave_the_folder_or_meet() -> None:
    names = ["../../etc/x", "a/b", "a__b", "A__B", "..", "", "é" * 300]
    record = samples.run(*(StepRecord(name=name, result="passed") for name in names))
    files = render_report(material(record, samples.plan(), {}))
    written = [path for path in files if path.startswith("steps/")]
    assert len(written) == len({path.casefold() for path in written}) == len(names)
    assert all(
        re.fullmatch(r"steps/[A-Za-z0-9_-][A-Za-z0-9._-]*\.html", path) and len(path) < 130
        for path in written
    )
    pages(files)


HOSTILE = st.text(st.characters(), max_size=40) | st.sampled_from(
    [
        "</pre><script>alert(1)</script>",
        '" onload="alert(1)',
        "\x00\x1b[31m\ud800\ufffe",
        "| a | `b` @team #1 <img src=x>",
        "]]>\n```\n<details>",
        "..",
        "/",
    ]
)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(HOSTILE, min_size=12, max_size=12), number=st.floats())
def test_no_text_breaks_any_file(texts: list[str], number: float) -> None:
    record, plan, notebooks = hostile(texts, number)
    files = render_report(material(record, plan, notebooks))
    pages(files)
    assert ElementTree.fromstring(files["junit.xml"]).tag == "testsuites"
    assert len(files["summary.md"]) <= 60_000
    outside_code = re.sub(
        r"(?s)^(`{3,}).*?^\1$|`[^`\n]+`", "", files["summary.md"].decode(), flags=re.MULTILINE
    )
    assert re.findall(r"<(?!/?code>)|(?<![`\w;&])[@#]\w", outside_code) == []


def hostile(texts: list[str], number: float) -> tuple[Any, Any, Mapping[str, Any]]:
    name, *rest = texts
    failure = Failure(
        kind="exception",
        message=rest[0],
        hint=rest[1],
        cell=1,
        first_line=rest[2],
        error=rest[3],
        traceback=rest[4],
        log=rest[5],
    )
    cells = (samples.ran(1, rest[2], number, result="failed", spilled=rest[6]),)
    attempt = Attempt(
        number=1, result="failed", started_utc=rest[7], seconds=number, failure=failure, cells=cells
    )
    step = StepRecord(
        name=name,
        result="failed",
        reason=rest[8],
        seconds=number,
        attempts=(attempt,),
        metrics=(Metric(name=rest[9], value=number, source=rest[0]),),
        warnings=(rest[10],),
        distributions={rest[1]: rest[2]},
        params={rest[3]: [rest[4], number]},
    )
    record = samples.run(
        step,
        result="failed",
        pipeline=rest[3],
        target=rest[4],
        command=tuple(rest),
        warnings=tuple(rest),
        params=(ParameterValue(name=rest[5], value={rest[6]: number}, source=rest[7]),),
    )
    outputs = (
        samples.stream(rest[8]),
        samples.raised(rest[1], rest[2], rest[3]),
        *(
            samples.shown({mime: rest[9]})
            for mime in ("text/html", "image/png", "image/svg+xml", "text/markdown", rest[10])
        ),
        {"output_type": rest[0], "data": rest[1]},
    )
    cells_of = (
        samples.code_cell(rest[2], *outputs),
        {"cell_type": "markdown", "source": rest[7]},
        {"cell_type": rest[5]},
    )
    return record, samples.plan(), {name: samples.notebook(*cells_of)}


def test_long_traceback_is_folded() -> None:
    failure = Failure(
        kind="exception", message="m", traceback="\n".join(f"line {n}" for n in range(60))
    )
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=1, failure=failure)
    record = samples.run(
        StepRecord(name="a", result="failed", attempts=(attempt,)), result="failed"
    )
    index = pages(render_report(material(record, samples.plan(), {})))["index.html"]
    assert "details" in index.tags
    assert "Traceback: 60 lines" in index.text
    assert "line 59" in index.text


def test_error_on_the_step_page_is_shown_once_at_its_cell() -> None:
    page = pages(render_report(RUNS["failed"]))["steps/models__train.html"]
    assert page.text.count("----> 2 model.fit(X, y)") == 1
    assert "#cell-3" in page.links


def test_a_step_may_go_without_a_page() -> None:
    steps = tuple(
        replace(step, report=step.name != "models/train") for step in samples.FAILED_PLAN.steps
    )
    notebooks = {"models/train": samples.FAILED_NOTEBOOK}
    files = render_report(
        material(samples.FAILED, replace(samples.FAILED_PLAN, steps=steps), notebooks)
    )
    shown = pages(files)  # every link leads to what is there
    assert not [path for path in files if "train" in path]
    assert "report disabled" in shown["index.html"].text


def test_earlier_attempts_are_told_with_traceback_and_notebook() -> None:
    failure = Failure(
        kind="exception", message="cell 2 raised KeyError: 'x'", traceback="KeyError: 'x' <b>"
    )
    attempts = (
        Attempt(
            number=1,
            result="failed",
            started_utc="",
            seconds=1,
            failure=failure,
            notebook="attempts/1/notebook.ipynb",
        ),
        Attempt(number=2, result="passed", started_utc="", seconds=2, notebook="notebook.ipynb"),
    )
    record = samples.run(StepRecord(name="a", result="passed", attempts=attempts))
    page = pages(render_report(material(record, samples.plan(), {})))["steps/a.html"]
    assert "Traceback of attempt 1\nKeyError: 'x' <b>" in page.text
    assert "steps/a/attempts/1/notebook.ipynb" in page.text


def test_imports_are_shown_without_the_lines_that_the_step_does_not_run() -> None:
    source = "\n\nimport json\n\n\n\n\nimport numpy as np\n\n"
    cells = (samples.ran(1, "import json", role="imports"), samples.ran(2, "x", role="step"))
    attempt = Attempt(number=1, result="passed", started_utc="", seconds=1, cells=cells)
    record = samples.run(StepRecord(name="a", result="passed", attempts=(attempt,)))
    notebook = samples.notebook(samples.code_cell(source), samples.code_cell("x\n\n\n\ny"))
    page = pages(render_report(material(record, samples.plan(), {"a": notebook})))["steps/a.html"]
    assert "\nimport json\n\nimport numpy as np" in page.text
    assert "x\n\n\n\ny" in page.text


def test_very_many_outputs_are_on_pages_of_their_own_and_the_error_with_the_cell() -> None:
    pictures = [samples.shown({"image/png": samples.PNG})] * 600
    table = samples.shown(
        {"text/html": "<table>" + "<tr><td>1</td></tr>" * 20_000 + "</table>", "text/plain": "rows"}
    )
    cells = samples.FAILED_NOTEBOOK["cells"]
    failed = samples.code_cell("model = SVC(C=C)", table, *pictures, cells[2]["outputs"][1])
    notebook = samples.notebook(*cells[:2], failed, cells[3])
    files = render_report(material(samples.FAILED, samples.FAILED_PLAN, {"models/train": notebook}))
    shown = pages(files)
    page = shown["steps/models__train.html"]
    assert "This cell has 551 more outputs, on 3 pages." in page.text
    assert page.text.count("----> 2 model.fit(X, y)") == 1
    more = [path for path in shown if "cell-3-page-" in path]
    assert len(page.images) + sum(len(shown[path].images) for path in more) == 600
    assert all("../../steps/models__train.html#cell-3" in shown[path].links for path in more)
    assert (
        "../../steps/models__train.html#cell-3"
        in shown["outputs/models__train/cell-3-1.html"].links
    )


def test_very_long_prose_is_shortened() -> None:
    prose: list[dict[str, Any]] = [
        {"cell_type": kind, "metadata": {}, "source": "long *text* " * 100_000}
        for kind in ("markdown", "raw")
    ]
    files = render_report(
        material(samples.PASSED, samples.PLAN, {"models/train": samples.notebook(*prose)})
    )
    assert (
        pages(files)["steps/models__train.html"].text.count("1,100,000 characters are left out")
        == 2
    )
    assert len(files["steps/models__train.html"]) < 300_000


def test_reused_step_tells_where_its_outputs_are() -> None:
    page = pages(render_report(RUNS["passed"]))["steps/prepare.html"]
    assert (
        "What these cells printed is in run 20260101-000000-ffff, and not on this machine"
        in page.text
    )
