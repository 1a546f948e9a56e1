from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.store.in_the_making import IN_THE_MAKING, InTheMaking

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ab" * 32


def test_who_waits_knows_whether_it_has_been_made(tmp_path: Path) -> None:
    first, second, third = (InTheMaking(tmp_path, KEY) for _ in range(3))
    assert first.take()
    assert not second.take()

    first.end(is_never_kept=False)
    first.close()

    assert second.take()
    assert second.has_been_made
    assert third.has_been_made
    assert list((tmp_path / IN_THE_MAKING).iterdir()) == []
    assert not InTheMaking(tmp_path, KEY).has_been_made


def test_of_several_that_wait_one_takes_the_place_of_a_killed_holder(tmp_path: Path) -> None:
    first, second, third = (InTheMaking(tmp_path, KEY) for _ in range(3))
    assert first.take()
    first.close()

    assert second.take()
    assert not second.has_been_made
    assert not third.take()
    assert not third.has_been_made


def test_what_is_never_kept_is_waited_for_once(tmp_path: Path) -> None:
    first = InTheMaking(tmp_path, KEY)
    first.take()
    first.end(is_never_kept=True)
    first.close()
    assert InTheMaking(tmp_path, KEY).is_never_kept


def test_a_cache_that_takes_no_locks_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / IN_THE_MAKING).write_text("no folder")
    making = InTheMaking(tmp_path, KEY)
    assert making.take()
    assert not making.has_been_made
    making.end(is_never_kept=False)
    making.close()
