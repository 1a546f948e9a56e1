"""Follow a stage: when another version is in it, the server takes that one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.app.serving.released import bring, bring_from, evidence_digest
from nbci.errors import IntegrityError, NbciError, UsageError
from nbci.git.process import REMOTE, Git
from nbci.promotion.fetched import LacksFilesError, find_release
from nbci.registry.read import fetch_models

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from nbci.app.serving.released import Released
    from nbci.registry.grammar import Reference
    from nbci.serving.loading import ModelFile

    Switch = Callable[[Sequence[ModelFile]], Awaitable[None]]
    """Has the server take these; raises where it goes on with those that it has."""


class Followed(Struct, frozen=True, kw_only=True):
    """What is looked up, where, after how many seconds again, and whether there may be nothing.

    Without `seconds` it is looked up only when somebody asks for it. `release` is the folder that
    the release lies in, where it comes from no repository.

    `name` is the reference as it was given.
    """

    name: str
    reference: Reference
    url: str | None
    folder: Path
    seconds: float | None
    release: Path | None = None
    may_be_empty: bool = False


class Follower:
    """Looks again and again which release is meant; `look_now` has it look at once.

    Whatever is wrong with a new version, or with the way to it, is logged, and the one before goes
    on answering.
    """

    def __init__(
        self, followed: Followed, commit: str | None, switch: Switch, log: Callable[..., None]
    ) -> None:
        """`commit` is that of the release which is there at first; None for nothing."""
        self._followed = followed
        self._commit = commit
        self._switch = switch
        self._log = log
        self._refused: str | None = None
        self._trouble = ""
        # Not `_trouble`, which who asks for a look clears: its end is to be told all the same.
        self._is_in_trouble = False
        self.look_now = asyncio.Event()

    async def follow(self) -> None:
        """Follow until this is cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.look_now.wait(), self._followed.seconds)
            # Who asks for a look, has what was refused before tried again.
            if self.look_now.is_set():
                self._refused, self._trouble = None, ""
            self.look_now.clear()
            try:
                await self._look()
                self._tell_of_end()
            except NbciError as error:
                self._tell(f"{self._followed.name}: {error}")
            # Else nobody would look any more, and nothing would say so.
            except Exception as error:  # noqa: BLE001 - DVC's file systems have errors of many types
                self._tell(f"{self._followed.name}: {type(error).__name__}: {error}")

    async def _look(self) -> None:
        commit = await asyncio.to_thread(_commit_of, self._followed)
        # What was refused once is not brought and tried every half minute.
        if commit == self._commit or (commit is not None and commit == self._refused):
            return
        name = self._followed.name
        if commit is None:
            await self._switch(())
            self._commit = commit
            self._log("nothing followed", reference=name)
            return
        try:
            released = await asyncio.to_thread(_bring, self._followed)
            await self._switch(released.files)
        except LacksFilesError:
            # They may come: the release itself may be what was promoted.
            raise
        except (IntegrityError, UsageError):
            self._refused = commit
            raise
        self._commit, self._refused = commit, None
        version = released.manifest.version
        self._log("switched", reference=name, version=version, commit=commit)

    def _tell(self, trouble: str) -> None:
        # Once for each trouble: a remote that is away for a night fills no log.
        if trouble != self._trouble:
            self._log("not followed", reason=trouble)
        self._trouble = trouble
        self._is_in_trouble = True

    def _tell_of_end(self) -> None:
        # A release that was refused is no longer tried, and still is not what answers.
        if self._is_in_trouble and self._refused is None:
            self._log("followed again", reference=self._followed.name)
            self._is_in_trouble = False
        self._trouble = ""


def _commit_of(followed: Followed) -> str | None:
    if followed.release is not None:
        return evidence_digest(followed.release)
    reference, url, folder = followed.reference, followed.url, followed.folder
    if url is None:
        git = Git(folder)
        # Of a repository without a remote, the tags that are here are all there are.
        if git.has_remote(REMOTE):
            fetch_models(git, REMOTE, [reference.model])
    try:
        return find_release(reference, url=url, folder=folder).commit
    except UsageError:
        # A candidate comes and goes; what is served has to be there.
        if followed.may_be_empty:
            return None
        raise


def _bring(followed: Followed) -> Released:
    if followed.release is not None:
        return bring_from(followed.release, followed.reference)
    return bring(followed.reference, url=followed.url, folder=followed.folder, environ=os.environ)
