"""What the steps of one run share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct, field

from nbci.data.fetch import fetch_tracked
from nbci.engine.interruption import without_waiting
from nbci.engine.steps import declared_files, deps, gpu
from nbci.errors import InfrastructureError, IntegrityError
from nbci.records.run_record import Failure
from nbci.runs.folder import DISPLACED
from nbci.runs.seal import KEY
from nbci.secrets import credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.engine.listener import RunListener
    from nbci.engine.observed.opens import Opens
    from nbci.engine.steps.aliases import Ended
    from nbci.engine.steps.environment import StepEnvironments
    from nbci.handoff.values import ValueRef
    from nbci.kernels.zygote.zygotes import Zygotes
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import FileRef, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.secrets import Mask
    from nbci.store.artifacts import Artifacts
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex

_GPU_POLL_SECONDS = 0.2


def _nothing(step: str) -> bool:
    return False


class _Known(Struct, frozen=True):
    """The (path, digest) pairs of this run and of earlier ones."""

    context: RunContext

    def __contains__(self, wanted: object) -> bool:
        outs = (
            (ref.path, ref.digest) for done in self.context.records.values() for ref in done.outs
        )
        return any(out == wanted for out in outs) or wanted in self.context.known_outs


class RunContext(Struct, kw_only=True):
    """One run: what it carries out, where it writes, who listens, and what has ended so far.

    `cache` holds values, artifacts and earlier results; `index` remembers digests of files;
    `forced` tells which steps run whatever earlier results there are. `carries`: artifacts travel
    through the cache, since each step may run in a checkout of its own. `known_outs` are the (path,
    digest) pairs that earlier runs recorded.
    """

    project: Project
    plan: Plan
    folder: RunFolder
    notebooks: Mapping[str, TaggedNotebook]
    listener: RunListener
    environ: Mapping[str, str]
    mask: Mask
    secrets: Mapping[str, str]
    cache: Cache
    index: FileIndex
    records: Ended
    environments: StepEnvironments
    carries: bool = False
    forced: Callable[[str], bool] = _nothing
    known_outs: Container[tuple[str, str]] = ()
    stop_reason: str | None = None
    zygotes: Zygotes | None = None
    opens: Opens | None = None
    said_no_gpu: bool = False
    remaking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _consumers: dict[str, dict[str, str]] = field(default_factory=dict)

    def consumers(self, giver: str) -> dict[str, str]:
        """For each value that a step gives, one of the steps that take it."""
        if not self._consumers:
            for step in self.plan.steps:
                for take in step.takes:
                    for name in take.givers:
                        self._consumers.setdefault(name, {})[take.name] = step.name
        return self._consumers.get(giver, {})

    async def send(self, record: StepRecord) -> None:
        """Share what a step gave, if a remote is named.

        A failure to do so does not stop the run; it is raised when the run ends.
        """
        elsewhere = self.cache.elsewhere
        if elsewhere is None or elsewhere.trouble is not None:
            return
        try:
            await without_waiting(elsewhere.send, record)
        except asyncio.CancelledError:
            elsewhere.trouble = InfrastructureError(
                "interrupted while results were sent to the remote"
            )
        except InfrastructureError as error:
            # Noted once: a remote that failed is not tried again for each step that follows.
            elsewhere.trouble = error
            self.listener.noticed(f"going on without the remote: {error}")

    def clear_outs(self, step: PlannedStep) -> None:
        """Clear the places of what a step is about to write."""
        paths = (*step.outs, *step.metrics)
        declared_files.make_ready(self.project.root, paths)
        files = declared_files.Files(self.cache.artifacts, self.index)
        self._say_displaced(
            declared_files.clear_outs(self.project.root, paths, self._known, self._aside, files)
        )

    def put_back(self, refs: Iterable[FileRef], kept: Artifacts) -> None:
        """Put artifacts back in the workspace.

        IntegrityError when the object of one of them is missing or damaged.
        """
        files = declared_files.Files(kept, self.index)
        self._say_displaced(
            declared_files.restore_artifacts(
                self.project.root, refs, self._known, self._aside, files
            )
        )

    def bring_deps(self, step: PlannedStep) -> Failure | None:
        """Make sure that the dependencies are there; the failure if they are not.

        Tracked data is brought as its `.dvc` file says.
        """
        root = self.project.root
        gone = (
            *deps.absent(root, step.deps),
            *deps.outdated(root, step.deps, self.index, self.cache.artifacts),
        )
        if any(self.cache.artifacts.lacking(ref.digest) for ref in gone):
            fetch_tracked(self.project, deps.tracking_files(root, step.deps))
        try:
            self.put_back(gone, self.cache.artifacts)
        except IntegrityError:
            names = ", ".join(ref.path for ref in gone)
            return Failure(
                kind="missing",
                message=f"DVC tracks {names}, but neither its cache nor a remote has it",
                hint="dvc pull",
            )
        failure = deps.altered(root, step.deps, self.index)
        return failure or declared_files.missing_deps(root, deps.declared(root, step.deps))

    @property
    def _aside(self) -> Path:
        return self.folder.path / DISPLACED

    @property
    def _known(self) -> Container[tuple[str, str]]:
        return _Known(self)

    def _say_displaced(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.listener.noticed(
                f"{path} is about to be written; what was there is no run's, and is kept as {self._aside / path}"
            )

    def whole_values(self, refs: Iterable[ValueRef]) -> frozenset[str]:
        """The digests of those values whose files match their digests.

        Each file is read once on this machine.
        """
        places = ((ref.object, self.cache.value_path(ref.object)) for ref in refs)
        return frozenset(
            name
            for name, place in places
            if place.is_file() and self.index.digest(place)[0] == name
        )

    async def environment_of(self, step: PlannedStep) -> Path | None:
        """The environment that the step's lock file asks for; None when the step asks for none."""
        if step.environment is None:
            return None
        return await self.environments.folder_for(step.environment, self.kernel_variables(step))

    def kernel_variables(self, step: PlannedStep, lease: gpu.Lease | None = None) -> dict[str, str]:
        """The variables of a step's kernel.

        They are those of this process, less the secrets of other steps, plus what the step asks
        for.
        """
        hidden = set(self.secrets) - set(step.secrets)
        if self.plan.fork is None:
            hidden -= set(self.project.secrets)
        else:
            hidden |= set(credentials(self.environ)) - set(step.secrets)
        hidden.add(KEY)
        variables = {name: value for name, value in self.environ.items() if name not in hidden}
        # Python else orders sets of strings differently in each process, and results would differ.
        variables.setdefault("PYTHONHASHSEED", "0")
        variables |= {"NBCI_RUN": self.folder.run, "NBCI_STEP": step.name}
        if lease is not None:
            variables["CUDA_VISIBLE_DEVICES"] = lease.device
        return variables | dict(step.env or {})

    async def lease_gpu(self, step: PlannedStep) -> gpu.Lease | None:
        """A GPU for a step that asks for one; None when this machine has none.

        Waits until a GPU is free.
        """
        if not step.gpu:
            return None
        names = await asyncio.to_thread(gpu.devices, self.environ)
        if not names:
            if not self.said_no_gpu:
                self.said_no_gpu = True
                self.listener.noticed(
                    f"step {step.name} asks for a GPU; this machine shows none, so it runs without"
                )
            return None
        while (lease := gpu.try_lease(names)) is None:  # noqa: ASYNC110 - who holds it may be another process
            await asyncio.sleep(_GPU_POLL_SECONDS)
        return lease
