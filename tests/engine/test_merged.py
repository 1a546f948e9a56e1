from __future__ import annotations

import copy
from typing import Any

from nbci.engine.merged import merge


def _source(*kinds: str) -> dict[str, Any]:
    cells = [
        {"cell_type": kind, "metadata": {"tags": [f"t{number}"]}, "source": f"cell {number}"}
        | ({"outputs": ["old"], "execution_count": 9} if kind == "code" else {})
        for number, kind in enumerate(kinds, start=1)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"x": 1}, "cells": cells}


def _ran(*cells: tuple[int | None, str]) -> dict[str, Any]:
    return {
        "cells": [
            {
                "cell_type": "code",
                "metadata": {"nbci": {"cell": number, "seconds": 0.5}},
                "source": f"ran {number}",
                "outputs": [output],
                "execution_count": at,
            }
            for at, (number, output) in enumerate(cells, start=1)
        ]
    }


def test_outputs_come_into_the_sources_own_order() -> None:
    source = _source("markdown", "code", "code", "code")
    before = copy.deepcopy(source)
    merged = merge(
        source,
        {"b": _ran((2, "imports"), (4, "second step")), "a": _ran((2, "again"), (3, "first step"))},
    )
    assert source == before
    assert [cell["source"] for cell in merged["cells"]] == ["cell 1", "cell 2", "cell 3", "cell 4"]
    assert [cell.get("outputs") for cell in merged["cells"]] == [
        None,
        ["imports"],
        ["first step"],
        ["second step"],
    ]
    assert merged["cells"][2]["metadata"] == {
        "tags": ["t3"],
        "nbci": {"step": "a", "cell": 3, "seconds": 0.5},
    }
    assert merged["cells"][1]["metadata"]["nbci"]["step"] == "b"


def test_cells_that_did_not_run_lose_their_old_outputs() -> None:
    merged = merge(_source("code", "code"), {"a": _ran((1, "new"))})
    assert merged["cells"][1]["outputs"] == []
    assert merged["cells"][1]["execution_count"] is None


def test_injected_parameters_stand_where_they_ran_and_once() -> None:
    executed = {
        "a": _ran((2, "p"), (None, "injected"), (3, "a")),
        "b": _ran((2, "p"), (None, "again")),
    }
    merged = merge(_source("markdown", "code", "code"), executed)
    assert [cell["source"] for cell in merged["cells"]] == [
        "cell 1",
        "cell 2",
        "ran None",
        "cell 3",
    ]


def test_a_step_that_never_ran_leaves_the_source() -> None:
    merged = merge(_source("code"), {})
    assert merged["cells"][0]["outputs"] == []


def test_the_state_of_widgets_of_all_steps_is_kept() -> None:
    def widgets(*models: str) -> dict[str, Any]:
        return {
            "widgets": {
                "state+json": {"version_major": 2, "state": {model: {"n": 1} for model in models}}
            }
        }

    source = _source("code", "code") | {"metadata": widgets("stale")}
    executed = {
        "a": _ran((1, "a")) | {"metadata": widgets("x")},
        "b": _ran((2, "b")) | {"metadata": widgets("y", "z")},
    }
    kept = merge(source, executed)["metadata"]["widgets"]["state+json"]
    assert kept == {"version_major": 2, "state": {"x": {"n": 1}, "y": {"n": 1}, "z": {"n": 1}}}
    assert "widgets" not in merge(source, {"a": _ran((1, "a"))})["metadata"]
