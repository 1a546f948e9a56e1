from __future__ import annotations

import re

from nbci.report.data.many_runs import ManyRuns, compare_runs
from nbci.report.pages.many_page import many_page
from tests.report.data.test_many_runs import DECLARED, run_of


def page_of(many: ManyRuns, addresses: dict[str, str] | None = None) -> str:
    return many_page(many, (), addresses or {})["index.html"].decode()


def many_runs() -> ManyRuns:
    records = [
        run_of("R1", {"C": 1.0, "seed": 7, "kernel": "<b>rbf</b>"}, auc=0.8, n=1.0),
        run_of("R2", {"C": 10.0, "seed": 7, "kernel": "poly"}, auc=0.9, n=1.0),
    ]
    return compare_runs(records, DECLARED, {"R3": "it is damaged"})


def test_the_table_has_what_differs_and_marks_the_best() -> None:
    text = page_of(many_runs(), {"R2": "../../report/index.html"})
    heads = re.findall(r'<th scope="col">([^<]*)</th>', text)
    assert heads == ["#", "C", "kernel", "auc", "n", "Took", "Result", "Run"]
    assert '<strong>0.9 <span class="best">best</span></strong>' in text
    assert '<a href="../../report/index.html">R2</a>' in text
    assert "<td>R1</td>" in text
    assert "<dt>seed</dt><dd><code>7</code></dd>" in text
    assert "R3 is left out: it is damaged" in text
    assert "2 runs side by side" in text
    assert "sorted by auc, the best first" in text


def test_the_best_of_each_metric_leads_to_its_row() -> None:
    text = page_of(many_runs())
    row = re.search(r'<tr role="row"><th[^>]*>auc</th>.*?</tr>', text)
    assert row is not None
    cells = re.sub(r'<span class="head".*?</span>', "", row[0])
    assert re.findall(r"<span>(.*?)</span></td>", cells) == [
        *("higher", "0.9", '<a href="#run-1">1</a>', "0.8", "0.9")
    ]
    assert 'id="run-1"' in text


def test_texts_of_runs_are_escaped_and_nothing_is_inline() -> None:
    text = page_of(many_runs())
    assert "&lt;b&gt;rbf&lt;/b&gt;" in text
    assert "<b>" not in text
    assert " style=" not in text
    assert "<script" not in text
