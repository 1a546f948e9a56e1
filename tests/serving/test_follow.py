"""Whether a stage can be followed is told once when it fails, and once when it works again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from nbci.app.serving import follow
from nbci.errors import InfrastructureError
from nbci.registry.grammar import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbci.app.serving.released import Released
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


def test_who_rolls_back_while_a_version_is_loaded_is_followed_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meant = "old"
    switched: list[str] = []

    def bring(_: follow.Followed) -> Released:
        manifest = SimpleNamespace(version=f"of {meant}")
        return cast("Released", SimpleNamespace(files=(meant,), manifest=manifest))

    async def switch(files: Sequence[ModelFile]) -> None:
        nonlocal meant
        (name,) = cast("tuple[str, ...]", files)
        switched.append(name)
        if name == "old":
            raise asyncio.CancelledError
        # A hook and a signal tell of it while this one is loaded.
        meant = "old"
        follower.look_now.set()
        follower.look_now.set()

    monkeypatch.setattr(follow, "_commit_of", lambda _: meant)
    monkeypatch.setattr(follow, "_bring", bring)
    reference = Reference(model="linear", stage="production")
    followed = follow.Followed(
        name="linear#production", reference=reference, url=None, folder=tmp_path, seconds=None
    )
    follower = follow.Follower(followed, "old", switch, lambda *_, **__: None)
    meant = "new"
    follower.look_now.set()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(asyncio.wait_for(follower.follow(), 60))
    assert switched == ["new", "old"]
