from __future__ import annotations

import re

import pytest
import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nbci.records.model import Attempt, Failure, ParameterValue, RunRecord, StepRecord
from nbci.report.markdown import code, fenced, prose, summary
from nbci.report.view import shown_steps

TEXT = st.text(st.sampled_from("ab1 \\`|*_[]()<>&@#!~$:/-=+.\n\x00\ud800é\u202e"), max_size=40)


def read(record: RunRecord) -> str:
    return summary(record, samples.FAILED_PLAN, shown_steps(record, samples.FAILED_PLAN, {})).decode()


def html(markdown: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


def test_order_is_result_failure_metrics_steps_parameters() -> None:
    text = read(samples.FAILED)
    order = [
        "failed",
        "### Step `models/train` failed",
        "### Steps",
        "### Warnings",
        "### Parameters",
        "### Run this again",
    ]
    assert sorted(order, key=text.index) == order
    assert text.startswith("## ❌ digits: failed\n")


@given(TEXT)
def test_prose_means_nothing_to_markdown(text: str) -> None:
    shown = html(f"a {prose(text)} b")
    assert re.sub(r"&(amp|lt|gt|quot);", "", shown).count("<") == 2, shown
    assert not re.search(r"[@#]\w", re.sub(r"&#\w+;", "", shown))


@given(TEXT)
def test_code_keeps_to_its_cell(text: str) -> None:
    shown = html(f"| a | b |\n| --- | --- |\n| {code(text)} | end |\n")
    cells = re.findall(r"<td>(.*?)</td>", shown, flags=re.DOTALL)
    assert len(cells) == 2
    assert cells[1] == "end"
    assert re.fullmatch(r"(<code>[^<]*</code>)?", cells[0])


@given(TEXT)
def test_block_of_code_ends_where_it_should(text: str) -> None:
    shown = html(f"{fenced(text)}\n\nend")
    assert shown.endswith("</code></pre>\n<p>end</p>\n")
    assert shown.count("<") == 6


def test_summary_stays_below_its_limit() -> None:
    failure = Failure(kind="exception", message="m" * 100, traceback="t\n" * 50_000, log="l" * 50_000)
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=1, failure=failure)
    steps = [
        StepRecord(name=f"step-{n}", result="failed", attempts=(attempt,), warnings=("w" * 600,)) for n in range(1000)
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


@pytest.mark.parametrize(("text", "shown"), [("a", "`a`"), ("", ""), ("a|b", "<code>a&#124;b</code>")])
def test_code_is_plain_where_it_can_be(text: str, shown: str) -> None:
    assert code(text) == shown
