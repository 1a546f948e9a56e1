"""What is served just now: versions of models, the switch to others, and candidates beside them."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct, field

from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from nbci.serving.batches import Batcher
    from nbci.serving.signature import ModelSignature


class Version(Struct):
    """One version of a model, ready to answer; `active` counts the requests that it answers."""

    model: str
    version: str
    platform: str
    signature: ModelSignature
    batcher: Batcher
    active: int = 0
    is_idle: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        """Count a request that this version is to answer."""
        self.active += 1
        self.is_idle.clear()

    def end(self) -> None:
        """Count a request as answered."""
        self.active -= 1
        # Whoever waits to forget this version may do so.
        if not self.active:
            self.is_idle.set()


class Candidate(Struct, frozen=True, kw_only=True):
    """A version beside the one that is served.

    It answers `share` of the requests; with 0 it is asked as well, and its answers are compared.
    """

    version: Version
    share: float = 0.0


class Served:
    """The models of this server by name; requests hold on to the version that they began with."""

    def __init__(self) -> None:
        self._current: dict[str, Version] = {}
        self._candidates: dict[str, Candidate] = {}
        self._draining: list[Version] = []
        self.is_ending = False

    @property
    def is_ready(self) -> bool:
        """Whether requests are to come here."""
        are_ready = all(version.batcher.is_ready for version in self._current.values())
        return bool(self._current) and are_ready and not self.is_ending

    @property
    def names(self) -> list[str]:
        """The names of the models."""
        return [*self._current]

    def find(self, model: str, version: str | None = None) -> Version | None:
        """The current version of a model, or that very version where it is still here."""
        current = self._current.get(model)
        if version is None or (current is not None and current.version == version):
            return current
        # A client that asked for a version by its name meets it as long as it is here.
        for older in self._draining:
            if (older.model, older.version) == (model, version):
                return older
        return None

    def put(self, version: Version) -> None:
        """Serve this version from now on; the one before answers what it has begun."""
        before = self._current.get(version.model)
        # In one step: each request finds one of the two.
        self._current[version.model] = version
        if before is not None:
            self._draining.append(before)

    def drop_others(self, names: Collection[str]) -> list[Version]:
        """Serve only these models from now on; the others, which answer what they have begun."""
        left = [version for name, version in self._current.items() if name not in names]
        for version in left:
            del self._current[version.model]
            self._draining.append(version)
        return left

    def drop_candidate(self, model: str) -> Candidate | None:
        """Try nothing beside the model any more; the candidate that was tried."""
        candidate = self._candidates.pop(model, None)
        if candidate is not None:
            self._draining.append(candidate.version)
        return candidate

    def drop_unlike(self, model: str) -> Candidate | None:
        """Drop the candidate where the model takes other inputs now; the one that was tried."""
        candidate = self._candidates.get(model)
        if candidate is None:
            return None
        current = self._current.get(model)
        if current and current.signature.inputs == candidate.version.signature.inputs:
            return None
        return self.drop_candidate(model)

    def put_candidate(self, candidate: Candidate) -> None:
        """Try this version beside the one that is served.

        UsageError where it takes other inputs, so that it could not answer the same requests.
        """
        model = candidate.version.model
        current = self._current[model]
        ours, theirs = candidate.version.signature, current.signature
        if ours.inputs != theirs.inputs:
            raise UsageError(
                f"{model}@{candidate.version.version} takes other inputs than "
                f"{model}@{current.version}, so it cannot be tried with the same requests"
            )
        before = self._candidates.get(model)
        self._candidates[model] = candidate
        if before is not None:
            self._draining.append(before.version)

    def shadow_of(self, model: str) -> Version | None:
        """The version that is asked as well, and whose answers nobody is sent."""
        candidate = self._candidates.get(model)
        if candidate is None or candidate.share:
            return None
        return candidate.version

    def choose(self, current: Version, request: str) -> Version:
        """The version that answers a request: the same for the same id, on each server."""
        candidate = self._candidates.get(current.model)
        if candidate is None or not is_among(request, candidate.share):
            return current
        return candidate.version

    def answering(self, model: str) -> tuple[Version, ...]:
        """The current version of a model, and the one that answers a share of its requests."""
        candidate = self._candidates.get(model)
        if candidate is None or not candidate.share:
            return (self._current[model],)
        return self._current[model], candidate.version

    async def drain(self) -> None:
        """Wait until no version of before answers any more, and forget them."""
        # A copy: others may be put while one is waited for.
        for version in [*self._draining]:
            if version.active:
                await version.is_idle.wait()
            # Another switch may have waited for the same.
            if version not in self._draining:
                continue
            self._draining.remove(version)
            # A kernel takes a moment to end, in which others are answered.
            await asyncio.to_thread(version.batcher.close)

    def close(self) -> None:
        """End all models, once nothing is asked any more."""
        candidates = [candidate.version for candidate in self._candidates.values()]
        for version in (*self._current.values(), *candidates, *self._draining):
            version.batcher.close()


def is_among(request: str, share: float) -> bool:
    """Whether a request is one of this share of all; the same for the same id everywhere."""
    if share >= 1:
        return True
    digest = hashlib.blake2b(request.encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64
