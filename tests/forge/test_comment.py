"""The one comment, against a server on loopback that answers as the forges' documentation says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.forge.comment import keep_one
from tests.forge.forge_contract import ForgeContract, client
from tests.support.forge import FakeForge, serve

if TYPE_CHECKING:
    from collections.abc import Iterator


class TestGitHub(ForgeContract):
    @pytest.fixture
    def forge(self) -> Iterator[FakeForge]:
        yield from serve(FakeForge(kind="github"))


class TestGitLab(ForgeContract):
    @pytest.fixture
    def forge(self) -> Iterator[FakeForge]:
        yield from serve(FakeForge(kind="gitlab"))


def test_a_token_that_may_not_ask_who_it_is_finds_a_bots_comment() -> None:
    for forge in serve(FakeForge(kind="github", may_ask_who=False)):
        keep_one(client(forge), "digits", "20261121-1", "first")
        assert keep_one(client(forge), "digits", "20261121-2", "second").what == "updated"
        assert len(forge.comments) == 1
