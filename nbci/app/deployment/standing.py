"""Say what is deployed where: as the registry has it, and as the places themselves say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.app.deployment.places import find_deployments, open_place
from nbci.deployment.server_client import Client
from nbci.errors import NbciError
from nbci.registry.read import read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.config import Project
    from nbci.git.process import Git
    from nbci.registry.queries import DeploymentRow


class Standing(Struct, frozen=True, kw_only=True):
    """A deployment, and what its place says; `health` is a sentence, None where nobody asked.

    `healthy` is None where the place cannot be asked from here.
    """

    row: DeploymentRow
    healthy: bool | None = None
    health: str | None = None


def check_deployments(
    project: Project, git: Git, rows: Iterable[DeploymentRow], environ: Mapping[str, str]
) -> tuple[Standing, ...]:
    """Ask each place which version it has, and how it is."""
    found = []
    for row in rows:
        healthy, health = _ask(project, git, row, environ)
        # A place that is away keeps no other one from being asked.
        found.append(Standing(row=row, healthy=healthy, health=health))
    return tuple(found)


def _ask(
    project: Project, git: Git, row: DeploymentRow, environ: Mapping[str, str]
) -> tuple[bool | None, str]:
    manifest = read_manifest(git, row.commit)
    file = manifest.target if manifest is not None else ""
    try:
        declared = {place.name: place for place in find_deployments(project, file, row.model)}
        if row.place not in declared:
            return None, "the pipeline file does not name this place any more"
        place = open_place(project, git, declared[row.place], row.model, environ)
        there = place.target.running()
    except NbciError as error:
        return None, error.message
    if there is None:
        # A process of another machine is not seen from here, but may answer.
        return _ask_address(row, environ)
    if there.version is None:
        return False, f"{there.what} does not answer"
    # A deployment may have been killed there: the place is right, and the tag is old.
    if there.version != row.version:
        return False, f"{there.version} runs there"
    if there.address is not None and not Client(there.address, environ).is_ready():
        return False, f"{there.what} is not ready"
    return True, there.outdated or "ready"


def _ask_address(row: DeploymentRow, environ: Mapping[str, str]) -> tuple[bool | None, str]:
    if row.address is None:
        return None, "nothing of it is seen from here"
    version = Client(row.address, environ).version(row.model)
    if version is None:
        return False, f"nothing runs here, and nothing answers at {row.address}"
    return version == row.version, f"{version} answers at {row.address}, from elsewhere"
