"""Objects and results shared through real remotes: a folder, and an S3 server."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.errors import InfrastructureError, IntegrityError, UsageError
from tests.data.remote_contract import KEY, Machine, RemoteContract
from tests.support.dvc import dvc
from tests.support.s3 import Wire, s3_server, s3_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead server is dead at once."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture(scope="module")
def s3() -> Iterator[int]:
    """The port of a server."""
    with s3_server() as port:
        yield port


class TestFolder(RemoteContract):
    @pytest.fixture
    def team(self, tmp_path: Path) -> tuple[str, str]:
        return str(tmp_path / "remote folder"), ""


class TestS3(RemoteContract):
    @pytest.fixture
    def team(self, tmp_path: Path, s3: int) -> tuple[str, str]:
        return s3_settings(s3, tmp_path.name)


def test_dvc_itself_reads_what_was_sent(tmp_path: Path) -> None:
    here, there = (Machine(tmp_path / name, str(tmp_path / "remote")) for name in ("here", "there"))
    here.sharing().send(here.make())
    dvc(here.root, "add", "-q", "out")
    shutil.copy(here.root / "out.dvc", there.root)
    dvc(there.root, "pull", "-q", "-r", "team")
    assert (there.root / "out/deep/3").read_bytes() == b"\3" * 10
    assert dvc(here.root, "status", "-q", "-c", "-r", "team") == ""


@pytest.mark.parametrize("kind", ["md5", "blake3"])
def test_an_object_altered_on_the_remote_is_named_never_kept_and_replaced(
    tmp_path: Path, kind: str
) -> None:
    remote = tmp_path / "remote"
    here, there = (Machine(tmp_path / name, str(remote)) for name in ("here", "there"))
    record = here.make()
    here.sharing().send(record)
    name = record.outs[1].digest if kind == "md5" else record.gives[0].object
    place = remote / "files" / kind / name[:2] / name[2:]
    whole = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(whole[:-1] + b"?")
    with pytest.raises(IntegrityError, match=str(place)):
        there.sharing().take(record)
    assert not there.has(record)
    assert not there.sharing().offers(f"files/{kind}", [name])
    assert here.sharing().offers(f"files/{kind}", [name])
    assert (
        there.sharing().send(there.make()) == 1
    )  # who noticed makes it again, and sends it over the other
    assert place.read_bytes() == whole
    assert Machine(tmp_path / "third", str(remote)).sharing().take(record) == (8, [])


def test_a_missing_object_is_told(tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    here, there = (Machine(tmp_path / name, str(remote)) for name in ("here", "there"))
    record = here.make()
    here.sharing().send(record)
    gone = record.gives[0].object
    (remote / "files/blake3" / gone[:2] / gone[2:]).unlink()
    assert there.sharing().take(record)[1] == [gone]


def test_what_is_no_result_of_this_key_is_none(tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    here, there = (Machine(tmp_path / name, str(remote)) for name in ("here", "there"))
    here.sharing().send(here.make())
    shutil.copytree(remote / "results/ab" / KEY[2:], remote / "results/cd" / KEY[2:])
    assert list(there.sharing().cache.records("cd" + KEY[2:])) == []
    (result,) = (remote / "results/ab").rglob("*.json")
    result.chmod(0o644)
    result.write_text("{")
    assert list(there.sharing().cache.records(KEY)) == []


def test_a_remote_that_cannot_be_reached_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    with s3_server() as port:
        pass
    for number, team in enumerate(
        [(str(tmp_path / "in the way/remote"), ""), s3_settings(port, "gone")]
    ):
        machine = Machine(tmp_path / str(number), *team)
        record = machine.make()
        with pytest.raises(InfrastructureError, match="cannot") as caught:
            machine.sharing().send(record)
        assert caught.value.hint is not None
        assert "b" not in str(caught.value).split()  # no secret is told
        assert machine.has(record)
        sharing = machine.sharing()
        assert list(sharing.cache.records("cd" * 32)) == []


@pytest.mark.needs("ordinary-user")
def test_a_remote_that_must_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir(mode=0o555)
    machine = Machine(tmp_path / "here", str(tmp_path / "remote"))
    with pytest.raises(InfrastructureError, match="cannot write to"):
        machine.sharing().send(machine.make())


def test_a_connection_that_drops_half_way_loses_nothing_and_goes_on(
    tmp_path: Path, s3: int
) -> None:
    wire = Wire(s3, allowed_bytes=600_000)
    try:
        team = s3_settings(wire.port, tmp_path.name)
        here, there = Machine(tmp_path / "here", *team), Machine(tmp_path / "there", *team)
        record = here.make(size=200_000)
        with pytest.raises(InfrastructureError):
            here.sharing().send(record)
        assert here.has(record)
        wire.mend(1 << 40)
        assert (
            list(there.sharing().cache.records(KEY)) == []
        )  # a result comes last, when all that it names is there
        sent = here.sharing().send(record)
        assert 0 < sent <= 8
        assert there.sharing().take(record) == (8, [])
        assert there.has(record)
    finally:
        wire.close()


def test_a_remote_that_dvc_does_not_know_is_named(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "/somewhere")
    machine.project = Project(root=machine.root, remote="teem")
    with pytest.raises(UsageError, match="no remote 'teem'") as caught:
        machine.sharing()
    assert caught.value.hint == "did you mean 'team'?"


def test_credentials_in_an_address_are_not_shown(tmp_path: Path) -> None:
    from nbci.data.remotes import _without_credentials

    assert _without_credentials("https://user:secret@host:80/path") == "https://host:80/path"
    assert _without_credentials(str(tmp_path)) == str(tmp_path)
    assert os.environ.get("AWS_SECRET_ACCESS_KEY") is None
