from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from nbci.plan.model import (
    TAGGED_SKIP,
    LeftOut,
    MarkdownCell,
    Plan,
    PlannedCell,
    PlannedStep,
)
from nbci.report.data.markdown_places import markdown_by_step
from tests.plan.plans import plan_of

if TYPE_CHECKING:
    from pathlib import Path


def places(plan: Plan) -> dict[str, list[str]]:
    """The source of each step's text, behind the number of the code that it goes with."""
    return {
        step: [f"{text.code} {text.cell.source}" for text in texts]
        for step, texts in markdown_by_step(plan).items()
    }


def test_text_goes_with_the_code_below_it(tmp_path: Path) -> None:
    cells: list[str | tuple[str, str]] = [
        ("markdown", "# Title"),
        ("parameters", "k = 1"),
        ("markdown", "These are imports."),
        ("imports", "import math"),
        ("markdown", "## Load"),
        ("step:load", "x = math.pi * k"),
        ("markdown", "More of it."),
        "x += 1",
        ("markdown", "## Train"),
        ("markdown", "It takes long."),
        ("step:train", "y = x"),
        ("markdown", "The end."),
    ]
    assert places(plan_of(tmp_path, cells)) == {
        "load": ["6 # Title", "6 These are imports.", "6 ## Load", "8 More of it."],
        "train": ["11 ## Train", "11 It takes long.", "11 The end."],
    }


def test_what_ends_a_section_stays_with_the_code_above(tmp_path: Path) -> None:
    for heading in ("## Train", "\n\n###  Train", "Train\n=====", "Train\n---", "<h2>Train</h2>"):
        cells: list[str | tuple[str, str]] = [
            ("step:load", "x = 1"),
            ("markdown", "As you see, x is one."),
            ("markdown", heading),
            ("markdown", "It takes long."),
            ("step:train", "y = x"),
        ]
        found = places(plan_of(tmp_path, cells))
        assert found["load"] == ["1 As you see, x is one."], heading
        assert found["train"] == [f"5 {heading}", "5 It takes long."]


def test_without_a_heading_text_introduces_what_follows(tmp_path: Path) -> None:
    for text in ("#hashtag", "a | b\n---|---", "`## code`", "####### seven"):
        cells: list[str | tuple[str, str]] = [
            ("step:a", "x = 1"),
            ("markdown", "first"),
            ("markdown", text),
            ("step:b", "x"),
        ]
        assert places(plan_of(tmp_path, cells))["a"] == [], text


def test_text_around_a_skipped_cell_stays_with_its_block(tmp_path: Path) -> None:
    cells: list[str | tuple[str, str]] = [
        ("step:load", "x = 1"),
        ("markdown", "## Scratch"),
        ("skip", "x.explore()"),
        ("markdown", "Never mind."),
        ("markdown", "## Train"),
        ("step:train", "y = x"),
    ]
    assert places(plan_of(tmp_path, cells)) == {
        "load": ["1 ## Scratch", "1 Never mind."],
        "train": ["6 ## Train"],
    }


def test_text_above_metrics_goes_with_the_step_that_has_them(tmp_path: Path) -> None:
    cells: list[str | tuple[str, str]] = [
        ("step:train", "score = 0.5"),
        ("markdown", "## Scores"),
        ("pipeline-metrics", "print(score)"),
        ("markdown", "## Show"),
        ("step:show", "print('shown')"),
    ]
    assert places(plan_of(tmp_path, cells)) == {"train": ["3 ## Scores"], "show": ["5 ## Show"]}


def test_a_notebook_that_is_one_step_has_all_its_text(tmp_path: Path) -> None:
    cells: list[str | tuple[str, str]] = [
        ("markdown", "# A"),
        "x = 1",
        ("markdown", "## B"),
        ("skip", "y"),
        ("markdown", "C"),
    ]
    assert places(plan_of(tmp_path, cells)) == {"n": ["2 # A", "2 ## B", "2 C"]}


def test_a_notebook_of_text_alone_has_no_place_for_it() -> None:
    plan = Plan(
        pipeline="p",
        target="n.ipynb",
        steps=(step("n"),),
        markdown={"n.ipynb": (MarkdownCell(number=1, source="# A"),)},
    )
    assert markdown_by_step(plan) == {}


def step(name: str, *numbers: int) -> PlannedStep:
    cells = tuple(PlannedCell(role="step", number=number, source="1") for number in numbers)
    return PlannedStep(
        name=name, notebook="n.ipynb", kernel="python3", language="python", cells=cells
    )


@given(st.lists(st.sampled_from(("code a", "code b", "skip", "text", "# heading")), max_size=20))
def test_every_text_stands_on_one_page_and_in_order(kinds: list[str]) -> None:
    numbers: dict[str, list[int]] = {"code a": [], "code b": [], "skip": []}
    texts = []
    for number, kind in enumerate(kinds, 1):
        if kind in numbers:
            numbers[kind].append(number)
        else:
            texts.append(MarkdownCell(number=number, source=kind))
    plan = Plan(
        pipeline="p",
        target="n.ipynb",
        steps=(step("a", *numbers["code a"]), step("b", *numbers["code b"])),
        left_out=tuple(
            LeftOut(notebook="n.ipynb", cell=number, reason=TAGGED_SKIP)
            for number in numbers["skip"]
        ),
        markdown={"n.ipynb": tuple(texts)},
    )

    found = markdown_by_step(plan)

    shown = [[text.cell.number for text in placed] for placed in found.values()]
    if numbers["code a"] or numbers["code b"]:
        assert sorted(chain(*shown)) == [text.number for text in texts]
    assert shown == [sorted(each) for each in shown]
    for name, placed in found.items():
        assert {text.code for text in placed} <= set(numbers[f"code {name}"])
