"""Whether a stage can be followed is told once when it fails, and once when it works again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nbci.app.serving import follow
from nbci.errors import InfrastructureError
from nbci.registry.grammar import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbci.serving.loading import ModelFile


def test_a_remote_that_is_away_is_told_once_and_once_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter("away away away here here away here".split())
    told: list[str] = []

    def commit_of(_: follow.Followed) -> str:
        look = next(looks, None)
        if look is None:
            raise asyncio.CancelledError
        if look == "away":
            raise InfrastructureError("no route to the remote")
        return "commit"

    async def switch(_: Sequence[ModelFile]) -> None:
        pytest.fail("nothing else is to be served")

    monkeypatch.setattr(follow, "_commit_of", commit_of)
    reference = Reference(model="linear", stage="production")
    followed = follow.Followed(
        name="linear#production", reference=reference, url=None, folder=tmp_path, seconds=0.001
    )
    follower = follow.Follower(followed, "commit", switch, lambda event, **_: told.append(event))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(follower.follow())
    assert told == ["not followed", "followed again", "not followed", "followed again"]
