from __future__ import annotations

import asyncio

from nbci.engine.steps.side_by_side import SideBySide


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
