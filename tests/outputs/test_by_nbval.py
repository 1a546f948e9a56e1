"""What nbval says of outputs that it compares in a process of its own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nbci.errors import InfrastructureError
from nbci.outputs import by_nbval
from nbci.outputs.comparison import CellPair, ForNbval

if TYPE_CHECKING:
    from nbci.records.output_check import OutputDifference


def _left(kind: str, stored: list[Any], now: list[Any]) -> ForNbval:
    pair = CellPair(cell=7, first_line="show()", stored=[], now=[])
    return ForNbval(pair=pair, kind=kind, stored=stored, now=now)


def _found(*left: ForNbval) -> list[OutputDifference]:
    return asyncio.run(by_nbval.compare_by_nbval(left, dict(os.environ)))


def _error(value: str) -> dict[str, str]:
    return {"ename": "ValueError", "evalue": value}


@pytest.mark.slow
def test_nbval_compares_what_is_left() -> None:
    hostile = "<script>alert(1)</script>\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}"
    differences = _found(
        _left("application/json", [{"a": 1}], [{"a": 2}]),
        _left("application/json", [{"a": 1}], [{"a": 1}]),
        _left("error", [_error("no")], [_error("no")]),
        _left("error", [_error("no")], [_error("yes")]),
        _left("text/html", [hostile], ["<b>"]),
        _left("text/html", ["<b>"], []),
        _left("application/pdf", ["a", "b"], ["a"]),
        _left("application/json", [{"a": 1}, None], [3]),
    )
    assert [(each.kind, each.message) for each in differences[:-2]] == [
        ("application/json", "nbval: mismatch 'application/json'"),
        ("error", "nbval: mismatch 'evalue'"),
        ("text/html", "nbval: mismatch 'text/html'"),
        ("text/html", "nbval: Missing output fields from running code: {'text/html'}"),
    ]
    assert differences[-2].kind == "application/pdf"
    assert differences[-2].message.startswith("nbval: dissimilar number of outputs")
    # nbval fails over its own message here
    assert differences[-1].message.startswith("nbval: TypeError")
    assert {each.cell for each in differences} == {7}
    assert "  {'a': 1} == {'a': 2}" in differences[0].lines


@pytest.mark.slow
def test_settings_of_the_users_pytest_are_nothing_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    assert _found(_left("application/json", [1], [1])) == []


@pytest.mark.slow
def test_nbval_that_cannot_run_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_nbval, "_REPLAY", Path(os.devnull).with_name("gone.py"))
    with pytest.raises(InfrastructureError, match="could not compare the outputs"):
        _found(_left("application/json", [1], [1]))


@pytest.mark.slow
def test_a_comparison_that_is_cancelled_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[asyncio.subprocess.Process] = []
    is_started = asyncio.Event()
    create = asyncio.create_subprocess_exec

    async def create_noted(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await create(*command, **options)
        started.append(process)
        is_started.set()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create_noted)

    async def cancel_soon() -> None:
        left = [_left("application/json", [1], [1])]
        task = asyncio.create_task(by_nbval.compare_by_nbval(left, dict(os.environ)))
        await is_started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_soon())
    assert started[0].returncode is not None
