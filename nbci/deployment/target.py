"""What every place where releases run can do, and what it is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from nbci.errors import ExitCode, NbciError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.records.manifest import Manifest

TOKEN = "NBCI_SERVE_TOKEN"  # noqa: S105 - the name of a variable, no token
"""What servers ask of those who ask them; it is handed on by its name, and written nowhere."""
_NO_NAME = re.compile(r"[^a-z0-9]+")


class Bundle(Struct, frozen=True, kw_only=True):
    """A release whose files, and its evidence with them, are in `folder` and are what they were.

    `commit` is the release commit.
    """

    model: str
    commit: str
    folder: Path
    manifest: Manifest

    @property
    def version(self) -> str:
        """Its version, such as `v1.2.0`."""
        return self.manifest.version


class Running(Struct, frozen=True, kw_only=True):
    """What a place says of itself.

    `version` is the one that answers, None where nothing does. `address` is where it is asked, None
    where it cannot be asked from here. `what` names what runs, such as `process 4711`. `outdated`
    says what is to be changed about it, whatever the version.
    """

    version: str | None
    what: str
    address: str | None = None
    outdated: str = ""


class Placed(Struct, frozen=True, kw_only=True):
    """What became of a release at a place.

    `running` it has taken over; `written` there are files only, and `notes` say why and where.
    """

    state: Literal["running", "written"]
    address: str | None = None
    notes: tuple[str, ...] = ()


class NotReady(NbciError):
    """A release was put where it runs, and does not get ready there."""

    exit_code = ExitCode.GATE_REFUSED


class Surroundings(Struct, frozen=True, kw_only=True):
    """Where a place keeps its files, and what it may use.

    `folder` belongs to the place alone; `project` is the root of the checkout.
    """

    name: str
    model: str
    project: Path
    folder: Path
    environ: Mapping[str, str]
    ready_seconds: float

    @property
    def label(self) -> str:
        """A name for it that programs take: lower case letters, digits and `-`."""
        # Docker, Compose and Kubernetes agree on these characters, and on this length.
        words = _NO_NAME.sub("-", f"nbci-{self.model}-{self.name}".lower())
        return words.strip("-")[:63].rstrip("-")


class Target(Protocol):
    """A place where releases of one model run. Each call may be in another process."""

    def running(self) -> Running | None:
        """What is there now, as the place itself says it; None where nothing is."""

    def put(self, bundle: Bundle) -> Placed:
        """Have this release run there, in the place of what ran before.

        NotReady where it does not get ready: what ran before may have ended then, and is put there
        again by the caller. Whatever fails before the change begins is another error.
        """

    def take_out(self) -> bool:
        """End what runs there; whether something did."""
