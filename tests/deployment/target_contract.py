"""What every kind of place must do; a kind is a class of its own, ten lines long.

class TestProcess(TargetContract):
    @pytest.fixture
    def open_target(self, around: Surroundings) -> Callable[[], Target]:
        return lambda: ProcessTarget(ProcessOptions(port=0), around)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nbci.deployment.target import NotReady, Surroundings
from tests.deployment.bundles import BAD, make_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nbci.deployment.target import Target

TOKEN = "secret-of-the-place"


class TargetContract:
    """Each call of the fixture `open_target` is a command of its own that opens the place."""

    @pytest.fixture
    def open_target(self, around: Surroundings) -> Callable[[], Target]:
        raise NotImplementedError

    @pytest.fixture
    def around(self, tmp_path: Path) -> Surroundings:
        return surroundings(tmp_path)

    @pytest.fixture(autouse=True)
    def _left_empty(self, open_target: Callable[[], Target]) -> Iterator[None]:
        yield
        open_target().take_out()

    def test_a_release_is_put_there_found_by_others_and_taken_out(
        self, open_target: Callable[[], Target], around: Surroundings, tmp_path: Path
    ) -> None:
        assert open_target().running() is None
        assert not open_target().take_out()
        first = make_bundle(tmp_path / "first", "v1.0.0")

        assert open_target().put(first).state == "running"

        there = open_target().running()
        assert there is not None
        assert (there.version, there.outdated) == ("v1.0.0", "")
        # The same again changes nothing.
        open_target().put(first)
        again = open_target().running()
        assert again == there
        for path in around.folder.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes()
        assert open_target().take_out()
        assert open_target().running() is None

    def test_another_version_takes_over_and_a_bad_one_can_be_undone(
        self, open_target: Callable[[], Target], tmp_path: Path
    ) -> None:
        versions = {}
        for version in ("v1.0.0", "v1.1.0", BAD):
            versions[version] = make_bundle(tmp_path / version, version)
        # A first version that is bad leaves nothing once it is taken out.
        with pytest.raises(NotReady):
            open_target().put(versions[BAD])
        open_target().take_out()
        assert open_target().running() is None
        for version in ("v1.0.0", "v1.1.0"):
            open_target().put(versions[version])
            assert version_of(open_target()) == version

        with pytest.raises(NotReady):
            open_target().put(versions[BAD])
        open_target().put(versions["v1.0.0"])

        assert version_of(open_target()) == "v1.0.0"


def surroundings(folder: Path) -> Surroundings:
    """Those of a place in that folder, with a token."""
    return Surroundings(
        name="here",
        model="linear",
        project=folder,
        folder=folder / "place",
        environ={**os.environ, "NBCI_SERVE_TOKEN": TOKEN},
        ready_seconds=60.0,
    )


def version_of(target: Target) -> str | None:
    """The version that the place says it has."""
    there = target.running()
    assert there is not None
    return there.version
