"""A server on this machine that outlives the command which started it."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.deployment.keeper import RECORD
from nbci.deployment.kept_processes import birth_of, session_of
from nbci.deployment.process_target import ProcessTarget
from nbci.deployment.server_client import Client
from nbci.errors import InfrastructureError, UsageError
from nbci.pipeline.deploy_document import ProcessOptions
from tests.deployment.bundles import make_bundle
from tests.deployment.target_contract import TargetContract, surroundings, version_of
from tests.support.processes import wait_for, wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nbci.deployment.target import Surroundings, Target

pytestmark = pytest.mark.slow


class TestProcess(TargetContract):
    @pytest.fixture
    def open_target(self, around: Surroundings) -> Callable[[], Target]:
        return lambda: ProcessTarget(ProcessOptions(port=0), around)

    def test_versions_change_without_a_lost_request(
        self, open_target: Callable[[], Target], around: Surroundings, tmp_path: Path
    ) -> None:
        placed = open_target().put(make_bundle(tmp_path / "1", "v1.0.0"))
        assert placed.address is not None
        client = Client(placed.address, around.environ)
        seen: list[str | None] = []
        ends = threading.Event()

        def ask() -> None:
            while not ends.is_set():
                seen.append(client.version("linear"))

        asking = threading.Thread(target=ask)
        asking.start()
        before = open_target().running()
        for version in ("v1.1.0", "v1.0.0"):
            open_target().put(make_bundle(tmp_path / version, version))
        ends.set()
        asking.join()
        after = open_target().running()
        assert set(seen) <= {"v1.0.0", "v1.1.0"}
        assert before is not None
        assert after is not None
        assert before.what == after.what

    def test_what_dies_is_started_again_and_what_kept_it_is_replaced(
        self, open_target: Callable[[], Target], around: Surroundings, tmp_path: Path
    ) -> None:
        bundle = make_bundle(tmp_path / "1", "v1.0.0")
        open_target().put(bundle)
        keeper = record(around)["pid"]
        server = children(keeper)[0]
        os.kill(server, signal.SIGKILL)
        wait_for_end(server)
        wait_for(lambda: children(keeper) not in ([], [server]), "another server")
        wait_for(lambda: version_of(open_target()) == "v1.0.0", "its answer")

        os.kill(keeper, signal.SIGKILL)
        wait_for_end(keeper)
        there = open_target().running()
        assert there is not None
        assert there.version == "v1.0.0"
        assert "killed" in there.outdated

        left = session_of(keeper)
        notes = open_target().put(bundle).notes
        assert "what kept it running had been killed" in notes[0]
        wait_for_end(*left)
        assert version_of(open_target()) == "v1.0.0"

    def test_other_settings_are_taken_by_another_server(
        self, open_target: Callable[[], Target], around: Surroundings, tmp_path: Path
    ) -> None:
        bundle = make_bundle(tmp_path / "1", "v1.0.0")
        open_target().put(bundle)
        old = record(around)["pid"]
        other = ProcessTarget(ProcessOptions(port=0, threads=2), around)
        there = other.running()
        assert there is not None
        assert "settings" in there.outdated

        assert "took the place" in other.put(bundle).notes[0]

        wait_for_end(old)
        assert version_of(other) == "v1.0.0"


def test_a_stale_record_of_another_process_is_seen_through(
    around: Surroundings, tmp_path: Path
) -> None:
    """The number in the file is that of this test, which began at another time."""
    around.folder.mkdir(parents=True)
    stale = {"pid": os.getpid(), "birth": "another boot/17", "command": [], "nbci": "0"}
    (around.folder / RECORD).write_text(json.dumps(stale))
    target = ProcessTarget(ProcessOptions(port=0), around)

    assert target.running() is None
    assert not target.take_out()
    assert birth_of(os.getpid()) is not None

    (around.folder / RECORD).write_text("{")
    assert target.running() is None


def test_a_port_of_another_program_is_named_and_nothing_is_begun(
    around: Surroundings, taken_port: int, tmp_path: Path
) -> None:
    target = ProcessTarget(ProcessOptions(port=taken_port), around)
    with pytest.raises(InfrastructureError, match=f"taken by .*{os.getpid()}"):
        target.put(make_bundle(tmp_path / "1", "v1.0.0"))
    assert not (around.folder / "releases").exists()


def test_other_machines_need_a_token(around: Surroundings, tmp_path: Path) -> None:
    bare = replace(around, environ={})
    target = ProcessTarget(ProcessOptions(port=0, host="0.0.0.0"), bare)
    with pytest.raises(UsageError, match="no token"):
        target.put(make_bundle(tmp_path / "1", "v1.0.0"))


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    birth = birth_of(os.getpid())
    assert birth is not None
    assert birth == birth_of(os.getpid())
    assert birth != birth_of(os.getppid())
    assert birth_of(2**22 + 1) is None


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return surroundings(tmp_path)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def record(around: Surroundings) -> dict[str, int]:
    found: dict[str, int] = json.loads((around.folder / RECORD).read_text())
    return found


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]
