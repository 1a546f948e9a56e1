"""The journal of a step's outputs: what it makes again, whatever became of the file."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nbci.records.journal import CUT_SHORT, Event, ExecutedNotebook, event_line, replay
from nbci.records.run_record import CellRun

CELLS = 3


def empty() -> ExecutedNotebook:
    runs = [
        CellRun(role="step", number=n + 1, first_line=f"line {n}", result="not run")
        for n in range(CELLS)
    ]
    sources: list[dict[str, Any]] = [
        {"source": run.first_line, "metadata": {}, "outputs": []} for run in runs
    ]
    return ExecutedNotebook({"nbformat": 4, "metadata": {}, "cells": sources}, runs)


def display(text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}


texts = st.text(st.sampled_from("ab\r\nä\ud800"), max_size=6)
names = st.sampled_from(["one", "two"])
of_a_cell = st.one_of(
    st.builds(
        lambda stream, text: {"do": "text", "stream": stream, "text": text},
        st.sampled_from("oe"),
        texts,
    ),
    st.builds(lambda text: {"do": "show", "output": display(text)}, texts),
    st.builds(lambda text, name: {"do": "show", "output": display(text), "id": name}, texts, names),
    st.builds(
        lambda text, name: {"do": "update", "output": display(text), "id": name}, texts, names
    ),
    st.builds(lambda count: {"do": "count", "count": count}, st.integers(1, 9)),
    st.just({"do": "clear"}),
    st.just({"do": "spill", "path": "files/x.txt"}),
)
late = st.builds(lambda event: {**event, "late": True}, of_a_cell)
cells = st.lists(st.lists(of_a_cell | late, max_size=8), min_size=1, max_size=CELLS)


def story(cells: list[list[Event]], *, ends: bool) -> list[Event]:
    """What happens when these cells run; the last one ends or not.

    What is late is of the cell before.
    """
    events: list[Event] = []
    for index, happens in enumerate(cells):
        events.append({"do": "start", "cell": index, "started_utc": "2026-01-01T00:00:00.000Z"})
        for event in happens:
            there, here = ({"do": "turn", "cell": place} for place in (max(index - 1, 0), index))
            events += [there, event, here] if event.get("late") else [event]
        if ends or index + 1 < len(cells):
            run = {
                "role": "step",
                "number": index + 1,
                "first_line": "",
                "result": "passed",
                "seconds": 0.5,
            }
            events.append({"do": "end", "run": run, "metadata": {"tags": ["t"]}})
    return copy.deepcopy(events)


def happened(events: list[Event]) -> ExecutedNotebook:
    executed = empty()
    for event in copy.deepcopy(events):
        executed.apply(event)
    return executed


def seen(executed: ExecutedNotebook | None) -> Any:
    assert executed is not None
    executed.complete()
    return executed.notebook, executed.runs, executed.current


@given(cells, st.booleans(), st.data())
def test_a_journal_makes_the_notebook_again(
    cells: list[list[Event]], ends: bool, data: st.DataObject
) -> None:
    """Also when it was rewritten somewhere on the way."""
    events = story(cells, ends=ends)
    at = data.draw(st.integers(0, len(events)))
    lines = [event_line(empty().begin()), *map(event_line, events)]
    rewritten = [event_line(happened(events[:at]).begin()), *map(event_line, events[at:])]
    assert seen(replay(lines)) == seen(replay(rewritten)) == seen(happened(events))


@given(cells, st.data())
def test_a_torn_journal_makes_what_came_before(
    cells: list[list[Event]], data: st.DataObject
) -> None:
    events = story(cells, ends=True)
    lines = [event_line(empty().begin()), *map(event_line, events)]
    torn = data.draw(st.integers(1, len(lines) - 1))
    kept = data.draw(st.integers(0, len(lines[torn]) - 2))
    assert seen(replay([*lines[:torn], lines[torn][:kept]])) == seen(happened(events[: torn - 1]))


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["do", "cell", "run", "x"]), inner)
    ),
    max_leaves=6,
)
keys = (
    "cell",
    "started_utc",
    "stream",
    "text",
    "output",
    "id",
    "count",
    "path",
    "run",
    "metadata",
    "notebook",
    "cells",
)
kinds = st.sampled_from(
    ["begin", "start", "text", "show", "update", "clear", "count", "spill", "end", "turn", "other"]
)
strange = st.builds(
    lambda do, rest: {**rest, "do": do}, kinds, st.dictionaries(st.sampled_from(keys), anything)
)
garbage = st.one_of(
    st.binary(max_size=20), st.builds(lambda event: json.dumps(event).encode(), strange)
)


@given(st.lists(garbage, max_size=12))
def test_garbage_is_left_out(lines: list[bytes]) -> None:
    replay(lines)
    executed = replay([event_line(empty().begin()), *lines])
    assert executed is not None
    executed.cut_short()
    json.dumps(executed.notebook)


def test_the_cell_that_ran_is_marked() -> None:
    text = {"do": "text", "stream": "stdout", "text": "so far\n"}
    executed = happened([*story([[], [text]], ends=False)])
    cell = executed.cut_short()
    assert cell is not None
    assert (cell.number, cell.result) == (2, "failed")
    assert [run.result for run in executed.runs] == ["passed", "failed", "not run"]
    assert [output["text"] for output in executed.outputs] == ["so far\n", CUT_SHORT]
    assert executed.notebook["cells"][1]["metadata"]["nbci"]["result"] == "failed"
    assert executed.cut_short() is None
    assert happened(story([[], [text]], ends=True)).cut_short() is None
    assert empty().cut_short() is None


def test_what_is_late_is_of_its_own_cell() -> None:
    """A thread of the first cell prints while the second runs; the running one is still known after
    a kill.
    """
    text = {"do": "text", "stream": "stdout", "text": "10%\r20%"}
    executed = happened(story([[text], [text, {**text, "late": True}, text]], ends=False)[:-1])
    texts = [[output["text"] for output in cell["outputs"]] for cell in executed.notebook["cells"]]
    assert texts == [["20%"], ["10%\r20%"], []]
    cell = happened(story([[text], [{**text, "late": True}]], ends=False)[:-1]).cut_short()
    assert cell is not None
    assert cell.number == 2


def test_many_small_prints_take_time_in_proportion() -> None:
    """A chunk is joined once or twice, not with every one that follows."""
    executed = happened([{"do": "start", "cell": 0, "started_utc": ""}])
    for _ in range(200_000):
        executed.apply({"do": "text", "stream": "stdout", "text": "0123456789"})
    assert executed.outputs[0]["text"] == "0123456789" * 200_000
    assert executed.pieces == 1
