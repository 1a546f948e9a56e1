"""The picture of a run's steps."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from nbci.records.run_record import RunRecord, StepRecord
from nbci.report.charts.step_graph import Graph, graph_inline, graph_of
from nbci.report.data.view import build_shown_steps
from tests.report.report_pages import Page
from tests.report.report_samples import plan, planned, run

if TYPE_CHECKING:
    from nbci.plan.model import Plan


def drawn(record: RunRecord, plan: Plan) -> Graph:
    graph = graph_of(build_shown_steps(record, plan, {}))
    assert graph is not None
    return graph


def layered(layers: int, breadth: int, prefix: str = "step") -> tuple[RunRecord, Plan]:
    """Each step waits for its own and the next one of the layer before."""
    steps, records = [], []
    for layer, at in itertools.product(range(layers), range(breadth)):
        name, node = f"{prefix}{layer}/{at}", f"{prefix}{layer}"
        if layer == 0:
            steps.append(planned(name, node=node))
            records.append(StepRecord(name=name, result="reused", seconds=2.0))
            continue
        before = f"{prefix}{layer - 1}"
        earlier = dict.fromkeys((f"{before}/{at}", f"{before}/{(at + 1) % breadth}"))
        steps.append(planned(name, after=tuple(earlier), node=node))
        records.append(StepRecord(name=name, result="passed", seconds=2.0))
    return run(*records), plan(*steps)


RUN = run(
    StepRecord(name="load", result="reused", seconds=0.01),
    StepRecord(name="train/svm", result="passed", seconds=3.25),
    StepRecord(name="train/forest", result="failed", seconds=61.0),
    StepRecord(name="report", result="skipped", reason="train/forest failed"),
)
PLAN = plan(
    planned("load"),
    planned("train/svm", after=("load",)),
    planned("train/forest", after=("load",)),
    planned("report", after=("load", "train/svm", "train/forest")),
)


def test_each_step_shows_name_state_and_time_in_words() -> None:
    page = Page(graph_inline(drawn(RUN, PLAN)))
    for text in ("train/svm", "✓ passed · 3.2 s", "✗ failed · 1 min 01 s", "↺ reused", "○ skipped"):
        assert text in page.words


def test_boxes_lead_to_the_steps_and_say_all_of_it_to_who_cannot_see() -> None:
    inline = graph_inline(drawn(RUN, PLAN))
    assert 'href="steps/train__forest.html"' in inline
    assert 'aria-label="train/forest: failed in 1 min 01 s, after load"' in inline
    assert (
        'aria-label="report: skipped, after train/svm, train/forest"' in inline
    )  # load is told by these
    assert (
        "Graph of 4 steps in 3 stages: 1 failed, 1 passed, 1 reused, 1 skipped (failed: "
        "train/forest)"
    ) in inline


def test_it_is_an_image_of_the_page_that_has_no_style_of_its_own() -> None:
    inline = graph_inline(drawn(RUN, PLAN))
    assert "style" not in inline
    ElementTree.fromstring(inline)


def matrix_run(*, after_all: bool = True) -> Graph:
    names = ["train/a", "train/b", "train/c"]
    plans = [planned("load")]
    for name in names:
        plans.append(planned(name, after=("load",), node="train", matrix={"model": name[-1]}))
    if after_all:
        plans.append(planned("evaluate", after=tuple(names)))
    records = [StepRecord(name=step.name, result="passed", seconds=1.0) for step in plans]
    return drawn(run(*records), plan(*plans))


def test_a_matrix_is_one_box_that_leads_to_its_table() -> None:
    graph = matrix_run()
    assert [box.name for box in graph.boxes] == ["load", "train", "evaluate"]
    inline = graph_inline(graph)
    assert 'href="#matrix-train"' in inline
    assert "train, 3 steps in 3.0 s: 3 passed, after load" in inline


def test_a_matrix_whose_combinations_wait_for_each_other_in_between_is_not_folded() -> None:
    steps = (
        planned("t/a", node="t", matrix={"m": "a"}),
        planned("between", after=("t/a",)),
        planned("t/b", after=("between",), node="t", matrix={"m": "b"}),
    )
    records = [StepRecord(name=step.name, result="passed") for step in steps]
    graph = drawn(run(*records), plan(*steps))
    assert [box.name for box in graph.boxes] == ["t/a", "between", "t/b"]


def test_one_step_is_no_graph() -> None:
    assert (
        graph_of(
            build_shown_steps(run(StepRecord(name="a", result="passed")), plan(planned("a")), {})
        )
        is None
    )


def test_names_are_shown_as_text_and_shortened_in_the_middle() -> None:
    name = "preprocess/" + "x" * 40 + "-<b>&"
    record = run(StepRecord(name=name, result="passed"), StepRecord(name="b", result="passed"))
    inline = graph_inline(drawn(record, plan(planned(name), planned("b"))))
    assert "<b>" not in inline
    assert any("…" in word and word.startswith("preprocess/") for word in Page(inline).words)


def test_two_hundred_steps_are_readable() -> None:
    graph = drawn(*layered(10, 20))
    assert len(graph.boxes) == 200
    half = graph.box_width / 2, graph.box_height / 2
    places = [graph.layout.boxes[box.name] for box in graph.boxes]
    for (x0, y0), (x1, y1) in itertools.combinations(places, 2):
        assert abs(x0 - x1) >= 2 * half[0] or abs(y0 - y1) >= 2 * half[1]
    assert all(
        half[0] <= x <= graph.width - half[0] and half[1] <= y <= graph.height - half[1]
        for x, y in places
    )
    assert graph.height < 20 * 100


def test_a_thousand_steps_are_groups_that_say_what_became_of_theirs() -> None:
    record, big = layered(10, 100)
    first, second, *others = record.steps
    failed = StepRecord(name=others[-1].name, result="failed", seconds=2.0)
    page = Page(graph_inline(drawn(run(first, second, *others[:-1], failed), big)))
    assert page.words.count("100 steps · 3 min 20 s") == 9
    assert "✗ 1 failed, 99 passed" in page.words
    assert "↺ 100 reused" in page.words
    assert f"steps/{failed.name.replace('/', '__')}.html" in page.links


def test_a_long_chain_goes_on_in_the_next_line_and_a_short_one_needs_none() -> None:
    long = drawn(*layered(60, 1))
    assert long.width < 1000
    assert 5 < len(long.layout.turns) < 20
    assert len(long.layout.turns) + len(long.layout.lines) == 59
    order = sorted(long.layout.boxes, key=lambda name: long.layout.boxes[name][::-1])
    assert order == [f"step{at}/0" for at in range(60)]
    assert not drawn(*layered(4, 1)).layout.turns


def test_a_deep_graph_runs_down() -> None:
    deep = drawn(*layered(40, 3))
    assert not deep.layout.across
    assert deep.width < 980


def test_lines_run_forward_from_border_to_border() -> None:
    layout = drawn(*layered(3, 5)).layout
    assert layout.across
    assert all(line[0][0] < line[-1][0] for line in layout.lines)


def test_where_many_wait_for_the_same_many_the_lines_meet_in_a_joint() -> None:
    first, second = [f"a{at}" for at in range(20)], [f"b{at}" for at in range(20)]
    records = run(*(StepRecord(name=name, result="passed") for name in (*first, *second)))
    graph = drawn(
        records,
        plan(
            *(planned(name) for name in first),
            *(planned(name, after=tuple(first)) for name in second),
        ),
    )
    assert len(graph.layout.lines) == 40
    assert len(graph.layout.joints) == 1


def test_steps_that_wait_for_nothing_fill_the_page_row_by_row() -> None:
    records = [StepRecord(name=f"step-{at}", result="passed") for at in range(60)]
    graph = drawn(run(*records), plan(*(planned(step.name) for step in records)))
    assert graph.width < 1000
    assert graph.height < 1500


def test_a_step_that_only_the_record_knows_is_shown_too() -> None:
    record = run(StepRecord(name="old", result="passed"), StepRecord(name="load", result="passed"))
    assert {box.name for box in drawn(record, plan(planned("load", after=("gone",)))).boxes} == {
        "old",
        "load",
    }


def irregular(seed: int, count: int) -> tuple[RunRecord, Plan]:
    """Each step waits for up to three of those before it."""
    draw = random.Random(seed)
    names = [f"step{at}" for at in range(count)]
    steps = []
    for at, name in enumerate(names):
        earlier = draw.sample(names[:at], min(at, draw.randint(1, 3)))
        steps.append(planned(name, after=tuple(earlier)))
    return run(*(StepRecord(name=name, result="passed") for name in names)), plan(*steps)


@pytest.mark.parametrize(
    "graph", ["layered(8, 4)", "layered(3, 30)", "irregular(3, 60)", "irregular(4, 90)"]
)
def test_the_same_run_gives_the_same_bytes(graph: str) -> None:
    script = (
        "import sys; sys.path[:0] = ['.']\n"
        "from tests.report.charts.test_step_graph import *\n"
        f"print(graph_inline(drawn(*{graph})))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(made) == 1
