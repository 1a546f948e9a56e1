from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nbci.engine.steps.side_by_side import BetweenRuns, SideBySide

if TYPE_CHECKING:
    from pathlib import Path


def test_a_result_is_made_once_while_others_wait_for_it() -> None:
    told: list[str] = []

    async def make(others: SideBySide, name: str, key: str) -> None:
        async with others.turn(key) as has_waited:
            told.append(f"{name} {'waited' if has_waited else 'begins'}")
            await asyncio.sleep(0)
            told.append(f"{name} ends")

    async def make_all() -> None:
        others = SideBySide(kernels=9)
        await asyncio.gather(
            make(others, "a", "k"), make(others, "b", "k"), make(others, "c", "other")
        )

    asyncio.run(make_all())
    assert told.index("b waited") > told.index("a ends") > told.index("c begins")


def test_whoever_has_waited_in_vain_waits_no_more() -> None:
    """A step whose results are never kept would run in one trial after another."""
    at_once = 0
    most = 0

    async def make(others: SideBySide) -> None:
        nonlocal at_once, most
        async with others.turn("k"):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1

    async def make_all() -> None:
        others = SideBySide(kernels=9)
        await asyncio.gather(*(make(others) for _ in range(4)))

    asyncio.run(make_all())
    assert most == 3


def test_a_turn_ends_however_it_was_left() -> None:
    async def leave_and_return() -> bool:
        others = SideBySide(kernels=1)
        maker = asyncio.create_task(stay(others))
        await asyncio.sleep(0)
        waiter = asyncio.create_task(stay(others))
        await asyncio.sleep(0)
        waiter.cancel()
        maker.cancel()
        await asyncio.wait([maker, waiter])
        async with others.turn("k") as has_waited, others.slot:
            return has_waited

    async def stay(others: SideBySide) -> None:
        async with others.turn("k"), others.slot:
            await asyncio.sleep(60)

    assert asyncio.run(leave_and_return()) is False


def test_a_file_that_one_run_wrote_and_another_read_is_told_once(tmp_path: Path) -> None:
    path = str(tmp_path / "shared.txt")
    (tmp_path / "shared.txt").touch()
    files = BetweenRuns()
    files.name("a", "trial 0")
    assert [*files.note("a", "fit", [path], [])] == []
    (told,) = files.note("b", "eval", [], [("file", path)])
    assert f"{path} connects runs: fit of trial 0 wrote it and eval of run b read it" in told
    assert [*files.note("c", "eval", [], [("file", path)])] == []


def test_the_order_of_the_two_makes_no_difference(tmp_path: Path) -> None:
    path = str(tmp_path / "shared.txt")
    (tmp_path / "shared.txt").touch()
    files = BetweenRuns()
    assert [*files.note("a", "fit", [], [("file", path)])] == []
    (told,) = files.note("b", "fit", [path], [])
    assert "fit of run b wrote it and fit of run a read it" in told


def test_what_a_run_writes_for_itself_or_removes_is_its_own(tmp_path: Path) -> None:
    path = str(tmp_path / "own.txt")
    (tmp_path / "own.txt").touch()
    gone = str(tmp_path / "gone.txt")
    files = BetweenRuns()
    for run in "ab":
        assert [*files.note(run, "fit", [path, gone], [])] == []
        assert [*files.note(run, "eval", [], [("file", path), ("file", "data.csv")])] == []
    assert [*files.note("c", "eval", [], [("file", gone), ("stat", path)])] == []
