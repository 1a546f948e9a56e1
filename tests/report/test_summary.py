from __future__ import annotations

from nbci.formatting.numbers import MINUS
from nbci.plan.compare import CellChange, Change, DataChange, MetricChange, RunDifference
from nbci.records.run_record import Attempt, Failure, FileRef, ParameterValue, RunRecord, StepRecord
from nbci.report.charts import Figure
from nbci.report.data.material import Baseline, Material, ShownRun
from nbci.report.data.view import build_shown_steps
from nbci.report.summary import summary
from tests.report import report_samples as samples

CODE = CellChange(
    step="train",
    notebook="n.ipynb",
    kind="changed",
    role="step",
    before=3,
    after=3,
    diff=("@@ -1 +1 @@", "-model.fit(x)", "+model.fit(x, y)  # ```"),
)


def read(record: RunRecord) -> str:
    material = Material(run=ShownRun(record=record, plan=samples.FAILED_PLAN, notebooks={}))
    return summary(material, build_shown_steps(record, samples.FAILED_PLAN, {})).decode()


def compared(url: str | None) -> str:
    """The passed run beside one that differs in everything."""
    file = FileRef(path="data/train.csv", digest="0" * 32, bytes=10)
    difference = RunDifference(
        before="20260101-1",
        after=samples.PASSED.run,
        params=(Change(name="C", before=1.0, after=10.0),),
        code=(CODE,),
        data=(
            DataChange(
                path="data/train.csv",
                kind="changed",
                role="in",
                before=file,
                after=file,
                added=("a", "b"),
            ),
        ),
        metrics=(
            MetricChange(name="train:accuracy", before=0.9, after=0.8, direction="up"),
            MetricChange(name="train:seconds", before=9.0, after=8.0, direction="down"),
        ),
    )
    run = ShownRun(record=samples.PASSED, plan=samples.PLAN, notebooks={})
    baseline = Baseline(
        title="run 20260101-1, the last one that passed", run=run, difference=difference
    )
    figure = Figure(
        name="roc",
        title="ROC",
        alt="ROC curve: AUC 0.9",
        step="train",
        path="figures/train/roc.svg",
    )
    material = Material(run=run, baseline=baseline, url=url)
    return summary(material, build_shown_steps(samples.PASSED, samples.PLAN, {}), [figure]).decode()


def test_what_changed_stands_beside_the_baseline() -> None:
    text = compared("https://jenkins.example/job/a/3/artifact/report/")

    assert (
        f"| `accuracy` | **0.8** | 0.9 | 🔴 {MINUS}0.1, worse | higher is better | `train` |"
        in text
    )
    assert f"| `seconds` | **8** | 9 | 🟢 {MINUS}1, better | lower is better | `train` |" in text
    assert "````diff\n@@ -1 +1 @@\n-model.fit(x)\n+model.fit(x, y)  # ```\n````" in text
    assert "| `C` | `1.0` | `10.0` |" in text
    assert "| `data/train.csv` | read | ✏️ changed | 2 added |" in text
    picture = "https://jenkins.example/job/a/3/artifact/report/figures/train/roc.svg"
    assert f"![ROC curve: AUC 0.9]({picture})" in text
    assert text.count("<details>") == text.count("</details>") == 3


def test_a_comment_without_an_address_has_no_pictures() -> None:
    assert "![" not in compared(None)


def test_order_is_result_failure_metrics_steps_parameters() -> None:
    text = read(samples.FAILED)
    order = [
        "failed",
        "May it go out?",
        "What changed?",
        "Can I trust the run?",
        "### Step `models/train` failed",
        "### Steps",
        "### Warnings",
        "### Parameters",
        "### Run this again",
    ]
    assert sorted(order, key=text.index) == order
    assert text.startswith("## ❌ digits: failed\n")


def test_summary_stays_below_its_limit() -> None:
    failure = Failure(
        kind="exception", message="m" * 100, traceback="t\n" * 50_000, log="l" * 50_000
    )
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=1, failure=failure)
    steps = [
        StepRecord(name=f"step-{n}", result="failed", attempts=(attempt,), warnings=("w" * 600,))
        for n in range(1000)
    ]
    params = tuple(ParameterValue(name=f"p{n}", value="v" * 1000, source="-p") for n in range(1000))
    text = read(samples.run(*steps, result="failed", params=params))
    assert 30_000 < len(text.encode()) <= 60_000
    assert "The rest is left out here" in text


def test_long_table_says_how_much_is_left_out() -> None:
    steps = [StepRecord(name=f"step-{n:03}", result="passed") for n in range(150)]
    text = read(samples.run(*steps, StepRecord(name="last", result="failed"), result="failed"))
    # Two more steps are in the plan only, and `evaluate` with them.
    assert "… and 54 more" in text
    assert "| `last` | ❌ failed |" in text
