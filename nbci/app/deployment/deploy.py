"""Deploy a release to its places, watch it there, and go back where it fails."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.app.deployment.deployment_tags import DeploymentTags
from nbci.app.deployment.places import (
    find_deployments,
    open_place,
    pick_deployments,
)
from nbci.app.deployment.smoke_watch import Watch, Watched
from nbci.app.serving.released import bring, served_folder
from nbci.config import find_project
from nbci.deployment.target import Bundle, NotReady
from nbci.errors import InfrastructureError, NbciError, UsageError
from nbci.git.process import REMOTE, open_git
from nbci.promotion.facts import find_promoter
from nbci.registry.grammar import Reference, parse_reference
from nbci.registry.read import fetch_models, find_commit, find_model, read_manifest, read_models
from nbci.store.files import try_lock
from nbci.trust.change import change_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nbci.app.deployment.places import Place
    from nbci.config import Project
    from nbci.deployment.target import Placed, Running
    from nbci.git.process import Git
    from nbci.records.verdict import GateResult
    from nbci.registry.events import ModelState, Version

State = Literal["deployed", "there", "written", "back", "stopped", "planned"]
_LOCK = "deploy.lock"


class DeployRequest(Struct, frozen=True, kw_only=True):
    """One call of `nbci deploy`.

    `target` is the name of a place, None for all of the model's. `pipeline` is the file that names
    them, by default that which made the release. `after_promotion`: no place, or a build that may
    not deploy, is no error.
    """

    reference: str
    target: str | None = None
    pipeline: str | None = None
    reason: str | None = None
    push: bool = True
    dry_run: bool = False
    stop: bool = False
    after_promotion: bool = False


class Deployed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a release at a place.

    `there`: it was there already; `written`: files were written, and nothing runs; `back`: it did
    not stay, for the `reason`, and `now` runs there again; `planned`: a dry run. `before` is what
    ran there.
    """

    target: str
    kind: str
    model: str
    version: str
    state: State
    commit: str = ""
    before: str | None = None
    now: str | None = None
    address: str | None = None
    agent: str | None = None
    reason: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    rules: tuple[GateResult, ...] = ()
    notes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    pushed: bool = True


class Deployments(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a release at all of its places; `remark` says why there are none."""

    model: str
    version: str | None = None
    deployments: tuple[Deployed, ...] = ()
    remark: str | None = None

    @property
    def refused(self) -> bool:
        """Whether it did not stay at one of them."""
        return any(each.state == "back" for each in self.deployments)


def deploy(
    folder: Path,
    request: DeployRequest,
    environ: Mapping[str, str],
    tell: Callable[[str], None],
) -> Deployments:
    """Carry the request out; places are gone through in turn, up to the first that refuses.

    `tell` is called with what is being done.
    """
    reference = parse_reference(request.reference)
    if not _may_deploy(request, environ):
        remark = "not deployed: this is the build of a change that is not merged"
        return Deployments(model=reference.model, remark=remark)
    project = find_project(folder)
    git = open_git(project.root)
    if request.push:
        if not git.has_remote(REMOTE):
            raise UsageError(
                f"the repository has no remote {REMOTE}", hint="make the tags here only: --no-push"
            )
        # First: where the remote is away, nothing is begun that could not be written down.
        fetch_models(git, REMOTE, [reference.model])
    state = find_model(read_models(git), reference.model)
    version = _version_of(state, reference)
    file = request.pipeline or _pipeline_of(git, version)
    found = find_deployments(project, _relative(project, folder, request, file), state.model)
    if request.after_promotion and not found:
        remark = "not deployed: the pipeline file names no place for the model"
        return Deployments(model=state.model, version=version.version, remark=remark)
    # Each in the order of the file: the first may be a place where little is lost.
    picked = pick_deployments(found, request.target, state.model)
    if request.stop and request.target is None:
        raise UsageError(
            "name the place where it is to be stopped",
            hint=f"its places are: {', '.join(place.name for place in found)}",
        )
    done: list[Deployed] = []
    for deployment in picked:
        place = open_place(project, git, deployment, state.model, environ)
        # What one place wrote into the registry counts for the next one.
        state = find_model(read_models(git), reference.model)
        work = _Deploying(project, git, state, place, request=request, environ=environ, tell=tell)
        done.append(work.carry_out(version))
        if done[-1].state == "back":
            break
    return Deployments(model=state.model, version=version.version, deployments=tuple(done))


def _may_deploy(request: DeployRequest, environ: Mapping[str, str]) -> bool:
    """Whether this is no build of a change; UsageError where somebody asked for it by hand."""
    change = change_of(environ)
    number = environ.get("CHANGE_ID")
    if change is None and not number:
        return True
    # What a change says of places, ports and hosts has been read by nobody.
    if request.after_promotion:
        return False
    raise UsageError(
        f"this is the build of change {number or (change and change.prefix)}: it deploys nothing",
        hint="merge it first",
    )


def _version_of(state: ModelState, reference: Reference) -> Version:
    commit = find_commit(state, reference)
    for version in state.versions:
        if version.commit == commit and version.active:
            return version
    raise UsageError(f"{reference.model} has no version that could be deployed there")


def _pipeline_of(git: Git, version: Version) -> str:
    manifest = read_manifest(git, version.commit)
    # GTO alone registers versions without evidence.
    if manifest is None:
        raise UsageError(f"the release {version.registered.tag} carries no evidence of nbci")
    return manifest.target


def _relative(project: Project, folder: Path, request: DeployRequest, file: str) -> str:
    if request.pipeline is None:
        return file
    return project.relative(folder / request.pipeline)


class _Deploying:
    """One release on its way to one place."""

    def __init__(
        self,
        project: Project,
        git: Git,
        state: ModelState,
        place: Place,
        *,
        request: DeployRequest,
        environ: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._project = project
        self._git = git
        self._state = state
        self._place = place
        self._request = request
        self._environ = environ
        self._tell = tell
        # Before anything is begun: whoever deploys is named in the tag.
        by = find_promoter(git, environ)
        self._tags = DeploymentTags(git, state, place.name, by, environ, push=request.push)
        held = state.deployments.get(place.name)
        self._known = None if held is None else held.current.version

    def carry_out(self, version: Version) -> Deployed:
        """Bring the release there, or find that it is there; see `Deployed`."""
        if self._request.dry_run:
            return self._plan(version)
        with self._lock():
            # What a call before said may be wrong by now, or it was killed: the place is asked.
            there = self._place.target.running()
            if self._request.stop:
                return self._stop(there, version)
            if self._is_done(there, version):
                assert there is not None
                result = self._result(version, "there")
                return replace(result, address=there.address, now=version.version)
            return self._deploy(there, version)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        lock = try_lock(self._place.folder / _LOCK)
        if lock is None:
            raise InfrastructureError(
                f"another nbci deploy is at work on {self._place.name}",
                hint="wait until it has ended, then look at `nbci deployments`",
            )
        try:
            yield
        finally:
            os.close(lock)

    def _is_done(self, there: Running | None, version: Version) -> bool:
        if there is None or there.outdated:
            return False
        return there.version == self._known == version.version

    def _plan(self, version: Version) -> Deployed:
        there = self._place.target.running()
        if self._is_done(there, version):
            return self._result(version, "there")
        notes: list[str] = []
        if there is not None:
            notes.append(f"{there.what} is there: {there.outdated or there.version}")
        return replace(self._result(version, "planned", there), notes=tuple(notes), pushed=False)

    def _deploy(self, there: Running | None, version: Version) -> Deployed:
        bundle = self._bundle(version)
        before = self._before(there, version)
        # Brought now: the way back is to need neither a network nor a remote.
        back = self._bundle(before) if before is not None else None
        name = self._place.name
        result = self._result(version, "deployed", there)
        placed: Placed | None = None
        watched = Watched()
        if there is not None and there.version == version.version and not there.outdated:
            self._tell(f"{bundle.model} {version.version} runs at {name} already: looking at it")
            watched = self._look(bundle, there.address)
        else:
            self._tell(f"putting {bundle.model} {version.version} at {name}")
            try:
                placed = self._place.target.put(bundle)
            except NotReady as error:
                watched = Watched(refusal=error.message)
            else:
                if placed.state == "written":
                    return replace(result, state="written", notes=placed.notes)
                watched = self._look(bundle, placed.address)
        notes = watched.notes
        if placed is not None:
            result = replace(result, address=placed.address)
            notes = (*placed.notes, *notes)
        elif there is not None:
            result = replace(result, address=there.address)
        result = replace(result, figures=watched.figures, rules=watched.rules, notes=notes)
        if watched.refusal is not None:
            return self._go_back(result, version, before, back, watched.refusal)
        tags = self._tags.deployed(version, self._facts(result), self._request.reason)
        return replace(result, tags=tags, now=version.version)

    def _look(self, bundle: Bundle, address: str | None) -> Watched:
        if address is None:
            return Watched(notes=("it cannot be asked from here: nothing was looked at",))
        watch = Watch(self._place.deployment, bundle, address, self._environ, self._tell)
        return watch.look()

    def _before(self, there: Running | None, version: Version) -> Version | None:
        """The version to go back to: the one that runs, else the one that was there last."""
        candidates = [self._known]
        if there is not None:
            candidates.insert(0, there.version)
        for name in candidates:
            found = self._state.version(name or "")
            if found is not None and found.active and found.version != version.version:
                return found
        return None

    def _go_back(
        self,
        result: Deployed,
        version: Version,
        before: Version | None,
        back: Bundle | None,
        refusal: str,
    ) -> Deployed:
        """Undo it, and write down that it was tried."""
        self._tell(f"{version.version} does not stay at {self._place.name}: {refusal}")
        notes = list(result.notes)
        now = None
        if back is None and self._known == version.version:
            # It is what was there, put there anew: to stop it would make nothing better.
            notes.append("it is the version that was there: it is left as it is")
            return replace(
                result, state="back", reason=refusal, now=self._known, notes=tuple(notes)
            )
        # What would be left is a version that was refused, answering people.
        if back is None:
            self._place.target.take_out()
            notes.append("nothing was there before: what was started has been stopped")
        else:
            try:
                self._place.target.put(back)
                now = back.version
            except NbciError as error:
                notes.append(f"{back.version} does not run there again either: {error.message}")
        result = replace(
            result, state="back", reason=refusal, now=now, notes=tuple(notes), address=None
        )
        try:
            tags = self._tags.back(version, before, self._facts(result), refusal)
        # That it is back counts for more than that it is written down.
        except NbciError as error:
            note = f"this is not in the registry: {error.message}"
            return replace(result, notes=(*result.notes, note))
        return replace(result, tags=tags)

    def _stop(self, there: Running | None, version: Version) -> Deployed:
        self._place.target.take_out()
        tags: tuple[str, ...] = ()
        if self._known is not None:
            tags = self._tags.stopped(self._request.reason)
        return replace(self._result(version, "stopped", there), tags=tags)

    def _bundle(self, version: Version) -> Bundle:
        """The release, brought here and held against its evidence."""
        reference = Reference(model=self._state.model, version=version.version)
        released = bring(reference, url=None, folder=self._project.root, environ=self._environ)
        return Bundle(
            model=self._state.model,
            commit=released.commit,
            folder=served_folder(released.commit, self._environ),
            manifest=released.manifest,
        )

    def _result(self, version: Version, state: State, there: Running | None = None) -> Deployed:
        before = self._known
        if there is not None and there.version is not None:
            before = there.version
        return Deployed(
            target=self._place.name,
            kind=self._place.deployment.kind,
            model=self._state.model,
            version=version.version,
            commit=version.commit,
            state=state,
            before=before,
            agent=self._place.deployment.agent,
            pushed=self._request.push,
        )

    def _facts(self, result: Deployed) -> dict[str, str | None]:
        """What the tag says of the place, for people and for `nbci deployments`."""
        return {"Nbci-Kind": result.kind, "Nbci-Address": result.address}
