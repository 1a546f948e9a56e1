"""What every kind of remote must do; a kind is a class of its own, ten lines long.

class TestFolder(RemoteContract):
    @pytest.fixture
    def team(self, tmp_path: Path) -> tuple[str, str]:
        return str(tmp_path / "remote"), ""
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.data.repository import project_cache
from nbci.data.sharing import Sharing, share
from nbci.digests import file_digest
from nbci.handoff.values import ValueRef
from nbci.records.run_record import StepRecord
from nbci.store.file_index import FileIndex
from tests.support.dvc import make_repository

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ab" * 32


class Machine:
    """A checkout with caches of its own, and the team's remote."""

    def __init__(self, folder: Path, remote: str, config: str = "", prefix: str = "") -> None:
        self.root = make_repository(folder / "project")
        (self.root / ".nbci").mkdir()
        (self.root / ".dvc/config").write_text(f"['remote \"team\"']\n    url = {remote}\n{config}")
        self.project = Project(root=self.root, remote="team")
        self.environ = {
            "NBCI_CACHE": str(folder / "cache"),
            **({"NBCI_UNTRUSTED": prefix} if prefix else {}),
        }
        self.index = FileIndex(folder / "index.json")

    def sharing(self) -> Sharing:
        sharing = share(self.project, project_cache(self.project, self.environ), self.environ)
        assert sharing is not None
        return sharing

    def make(self, size: int = 10) -> StepRecord:
        """A step's result in the cache: a folder, a file, a value and a notebook."""
        cache = self.sharing().cache
        (self.root / "out/deep").mkdir(parents=True)
        for number in range(4):
            (self.root / f"out/deep/{number}").write_bytes(bytes([number]) * size)
        (self.root / "file").write_text("file")
        (self.root / "notebook").write_text("{}")
        (self.root / "value").write_bytes(b"value" * size)
        digest, _ = file_digest(self.root / "value")
        cache.value_path(digest).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.root / "value", cache.value_path(digest))
        record = StepRecord(
            name="step", result="passed", key=KEY, run="r", ended_utc="2026-01-01T00:00:00.000Z",
            gives=(ValueRef(name="value", object=digest, bytes=1, type="str", group=("value",)),),
            outs=tuple(
                cache.artifacts.keep(self.root, name, self.index) for name in ("out", "file")
            ),
        )  # fmt: skip
        cache.keep(record, self.root / "notebook", self.index)
        return record

    def has(self, record: StepRecord) -> bool:
        """Whether everything of it is here, without asking anybody."""
        cache = project_cache(self.project, self.environ)
        return (
            [found for found, _ in cache.records(KEY)] == [record]
            and cache.notebook_of(record, self.index) is not None
            and not any(cache.artifacts.missing_objects(ref.digest) for ref in record.outs)
            and all(
                file_digest(cache.value_path(ref.object))[0] == ref.object for ref in record.gives
            )
        )


class RemoteContract:
    """Two machines share one remote: `team` gives its address, and lines of DVC's configuration."""

    @pytest.fixture
    def team(self, tmp_path: Path) -> tuple[str, str]:
        """Each kind says where its remote is."""
        raise NotImplementedError

    def test_what_one_machine_made_another_has(self, tmp_path: Path, team: tuple[str, str]) -> None:
        here, there = Machine(tmp_path / "here", *team), Machine(tmp_path / "there", *team)
        record = here.make()
        assert here.sharing().send(record) == 8
        assert here.sharing().send(record) == 0
        assert not there.has(record)
        sharing = there.sharing()
        assert [found for found, _ in sharing.cache.records(KEY)] == [record]
        assert sharing.cache.offers_value(record.gives[0].object)
        assert all(sharing.cache.artifacts.has(ref) for ref in record.outs)
        assert not there.has(record)  # only what is needed comes
        assert sharing.take(record) == (8, [])
        sharing.cache.save()
        assert there.has(record)
        assert there.sharing().take(record) == (0, [])
        assert list(sharing.cache.records("cd" * 32)) == []

    def test_only_what_is_missing_moves(self, tmp_path: Path, team: tuple[str, str]) -> None:
        here, there = Machine(tmp_path / "here", *team), Machine(tmp_path / "there", *team)
        record = here.make()
        here.sharing().send(record)
        sharing = there.sharing()
        sharing.take(record)
        lost = sharing.cache.artifacts.objects.path(
            there.index.fingerprint(here.root, "out/deep/2").digest
        )
        lost.unlink()
        assert there.sharing().take(record) == (1, [])
        assert there.has(record)

    def test_what_an_untrusted_build_sends_no_trusted_one_sees(
        self, tmp_path: Path, team: tuple[str, str]
    ) -> None:
        trusted, fork = (
            Machine(tmp_path / "trusted", *team),
            Machine(tmp_path / "fork", *team, prefix="pr/7"),
        )
        other = Machine(tmp_path / "other", *team, prefix="pr/8")
        again = Machine(tmp_path / "again", *team, prefix="pr/7")
        record = fork.make()
        assert fork.sharing().send(record) == 8
        for blind in (trusted, other):
            assert list(blind.sharing().cache.records(KEY)) == []
            assert not blind.sharing().offers("files/blake3", [record.gives[0].object])
        assert again.sharing().take(record) == (8, [])
        trusted.sharing().send(trusted.make())
        assert other.sharing().take(record) == (8, [])
