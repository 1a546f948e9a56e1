"""Results that an audit found to be wrong are not found any more, wherever they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.errors import IntegrityError
from nbci.records.codec import to_json_line
from nbci.records.run_record import StepRecord
from nbci.store.cache import Cache
from nbci.store.distrusted import Distrusted
from nbci.store.file_index import FileIndex

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "ab" * 32
_OLD = StepRecord(
    name="s", result="passed", key=_KEY, run="old", ended_utc="2026-01-01T00:00:00.000Z"
)
_NEW = replace(_OLD, run="new", ended_utc="2026-01-03T00:00:00.000Z")
_BETWEEN = "2026-01-02T00:00:00.000Z"


def keep(cache: Cache, record: StepRecord, folder: Path) -> None:
    (folder / "notebook").write_text(record.run or "")
    cache.keep(record, folder / "notebook", FileIndex(folder / "digests"))


def runs(cache: Cache) -> list[str | None]:
    return [record.run for record, _ in cache.records(_KEY)]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path / "cache")
    for record in (_OLD, _NEW):
        keep(cache, record, tmp_path)
    return cache


def test_only_what_was_made_until_then_is_distrusted(cache: Cache) -> None:
    cache.distrusted.add(_KEY, _BETWEEN)

    assert runs(cache) == ["new"]
    # Another process finds the same.
    assert runs(Cache(cache.root)) == ["new"]
    assert cache.entry(_OLD).is_file()


def test_what_the_last_run_took_is_distrusted_too(cache: Cache) -> None:
    cache.distrusted.add(_KEY, _BETWEEN)
    cache.recall([(_OLD, to_json_line(_OLD))], taken_ns=1 << 62)

    assert runs(cache) == ["new"]


def test_what_a_remote_brings_is_distrusted_too(cache: Cache, tmp_path: Path) -> None:
    cache.distrusted.add(_KEY, _BETWEEN)

    class Remote:
        trouble = None

        def take_results(self, key: str) -> None:
            keep(cache, replace(_OLD, run="older"), tmp_path)

    cache.elsewhere = Remote()  # type: ignore[assignment]  # only what is asked here

    assert runs(cache) == ["new"]


def test_the_time_itself_is_distrusted(cache: Cache) -> None:
    cache.distrusted.add(_KEY, _NEW.ended_utc or "")

    assert runs(cache) == []


def test_an_older_note_changes_nothing(cache: Cache) -> None:
    cache.distrusted.add(_KEY, "2026-01-04T00:00:00.000Z")
    cache.distrusted.add(_KEY, _BETWEEN, unsteady=True)

    assert runs(cache) == []
    assert not cache.distrusted.is_unsteady(_KEY)


def test_other_keys_are_trusted(cache: Cache) -> None:
    cache.distrusted.add("cd" * 32, _BETWEEN)

    assert runs(cache) == ["new", "old"]
    assert not cache.distrusted.is_unsteady(_KEY)


def test_a_damaged_note_distrusts_all(cache: Cache) -> None:
    cache.distrusted.add(_KEY, _BETWEEN)
    (cache.distrusted.folder / _KEY).write_text("")

    assert runs(cache) == []


def test_a_step_that_gives_another_result_each_time_is_known(tmp_path: Path) -> None:
    distrusted = Distrusted(tmp_path / "d")
    distrusted.add(_KEY, _BETWEEN, unsteady=True)

    assert distrusted.is_unsteady(_KEY)
    assert Distrusted(tmp_path / "d").is_unsteady(_KEY)
    distrusted.add(_KEY, _BETWEEN)
    assert not distrusted.is_unsteady(_KEY)


def test_a_key_leads_nowhere_else(cache: Cache) -> None:
    with pytest.raises(IntegrityError):
        cache.distrusted.add("../x", _BETWEEN)
