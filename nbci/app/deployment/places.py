"""Find the places of a model in its pipeline file, and make them ready to be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.deployment.container_target import ComposeTarget, ContainerTarget
from nbci.deployment.kserve_target import KServeTarget
from nbci.deployment.process_target import ProcessTarget
from nbci.deployment.systemd_target import SystemdTarget
from nbci.deployment.target import Surroundings
from nbci.digests import bytes_digest
from nbci.dot_nbci import DEPLOYMENTS_FOLDER
from nbci.errors import IntegrityError, Location, UsageError, spelling_hint
from nbci.pipeline.deploy_document import ProcessOptions, read_deployments
from nbci.pipeline.document import read_document
from nbci.project.targets import PIPELINE_SUFFIXES
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.config import Project
    from nbci.deployment.target import Target
    from nbci.git.process import Git
    from nbci.pipeline.deploy_document import Deployment

    MakeTarget = Callable[..., Target]
    """Takes the options of its kind, which the reader has made, and a `Surroundings`."""

TARGETS: Mapping[str, MakeTarget] = {
    "process": ProcessTarget,
    "systemd": SystemdTarget,
    "container": ContainerTarget,
    "compose": ComposeTarget,
    "kserve": KServeTarget,
}
"""What carries out each kind of `deploy:`; the tests' contract holds for every one of them."""


class Place(Struct, frozen=True, kw_only=True):
    """A place where releases run, as the pipeline file has it, and what carries it out."""

    deployment: Deployment
    target: Target
    folder: Path

    @property
    def name(self) -> str:
        """Its name in the pipeline file."""
        return self.deployment.name


def find_deployments(project: Project, file: str, model: str) -> tuple[Deployment, ...]:
    """The places of a model in that pipeline file, in its order.

    `file` is relative to the project's root, and may come from a release's evidence.
    """
    if not file.endswith(PIPELINE_SUFFIXES):
        raise UsageError(
            f"{model} was made by {file}, which is no pipeline file",
            hint="--pipeline FILE names the one whose `deploy:` says where it may run",
        )
    path = place_inside(project.root, file)
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the pipeline file cannot be read: {error}",
            where=Location(file),
            hint="--pipeline FILE names the one whose `deploy:` says where the model may run",
        ) from error
    # The whole file is checked, but no notebook is read: those may be gone from this checkout.
    document = read_document(text, file)
    # A project in a folder of its repository has that folder in the registry's name.
    short = model.rpartition(":")[2]
    return tuple(place for place in read_deployments(document) if place.model == short)


def pick_deployments(
    found: Sequence[Deployment], name: str | None, model: str
) -> tuple[Deployment, ...]:
    """The place of that name, all of them without one; UsageError where there is none."""
    if not found:
        raise UsageError(
            f"the pipeline file names no place where {model} may run",
            hint="add for example `deploy: {local: {model: "
            f"{model.rpartition(':')[2]}, process: {{port: 8080}}}}}}`: docs/deploy.md",
        )
    if name is None:
        return tuple(found)
    known = {place.name: place for place in found}
    if name not in known:
        raise UsageError(
            f"{model} has no deployment {name!r}",
            hint=spelling_hint(name, known, f"its deployments are: {', '.join(known)}"),
        )
    return (known[name],)


def open_place(
    project: Project, git: Git, deployment: Deployment, model: str, environ: Mapping[str, str]
) -> Place:
    """The place, to be asked and used; `model` is its name in the registry."""
    folder = _folder_of(project, git, deployment, environ)
    around = Surroundings(
        name=deployment.name,
        model=model,
        project=project.root,
        folder=folder,
        environ=environ,
        ready_seconds=deployment.ready_seconds,
    )
    kind: str = deployment.kind
    # The same options, and another program that keeps the server running.
    if isinstance(deployment.options, ProcessOptions) and deployment.options.systemd:
        kind = "systemd"
    # By the table: a new kind is a class and a line in it.
    make = TARGETS[kind]
    return Place(deployment=deployment, target=make(deployment.options, around), folder=folder)


def _folder_of(
    project: Project, git: Git, deployment: Deployment, environ: Mapping[str, str]
) -> Path:
    named = deployment.options.folder
    if named is not None and deployment.kind == "process" and os.path.isabs(named):
        return Path(named)
    if named is not None:
        try:
            return place_inside(project.root, named)
        except IntegrityError as error:
            raise UsageError(
                f"the folder {named!r} of the deployment {deployment.name} lies outside the project"
            ) from error
    own = Path(deployment.model) / deployment.name
    if deployment.kind != "process":
        return project.root / DEPLOYMENTS_FOLDER / own
    return _states_folder(environ) / "deployments" / _repository_name(project, git) / own


def _states_folder(environ: Mapping[str, str]) -> Path:
    """Where programs keep their states, by https://specifications.freedesktop.org/basedir-spec."""
    # Not the cache: what is there may be removed by anybody, and a server would lose its release.
    base = environ.get("XDG_STATE_HOME")
    if base:
        return Path(base) / "nbci"
    return Path(os.path.expanduser("~")) / ".local" / "state" / "nbci"


def _repository_name(project: Project, git: Git) -> str:
    """A name for the repository that all of its clones on this machine have in common.

    A CI's workspace is cleaned and made anew; the server that it started is not to be lost by it.
    """
    url = git.get("remote", "get-url", "origin") or str(project.root)
    name = url.rstrip("/").rpartition("/")[2].removesuffix(".git")
    kept = "".join(letter for letter in name if letter.isalnum() or letter in "-_")
    # The digest alone tells them apart: a URL may hold a password.
    return f"{kept or 'project'}-{bytes_digest(url.encode())[:8]}"
