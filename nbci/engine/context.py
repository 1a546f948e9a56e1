"""What the steps of one run share."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from nbci.config import SWEEP_STORAGE
from nbci.data.dvc_scm import fetch_tracked
from nbci.engine.interruption import run_in_abandonable_thread
from nbci.engine.steps import declared_files, deps
from nbci.errors import InfrastructureError, IntegrityError
from nbci.kernels.held import NOTHING_HELD, Held
from nbci.pipeline.step_kinds import PYTHON, kind_of_notebook
from nbci.records.run_record import Failure
from nbci.runs.file_names import DISPLACED
from nbci.runs.signature import KEY
from nbci.secrets import credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.engine.kernel_source import KernelSource
    from nbci.engine.listener import RunListener
    from nbci.engine.steps.aliases import Ended
    from nbci.engine.steps.auditor import Auditor
    from nbci.engine.steps.environment import StepEnvironments
    from nbci.engine.steps.gpu import GpuPool, Lease
    from nbci.engine.steps.side_by_side import SideBySide
    from nbci.handoff.values import ValueRef
    from nbci.kernels.job import OutputWatch
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import FileRef, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.secrets import Mask
    from nbci.store.artifacts import Artifacts
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex


def force_no_step(step: str) -> bool:
    """Let every earlier result that stands be reused."""
    return False


class StopRequest(Struct):
    """Whether the run has to stop, and why: set by the run, read by the steps that it cancels.

    `kind` is that of the failure which its steps have then: they took too long, or whoever carries
    the run out has seen enough of it.
    """

    reason: str | None = None
    kind: Literal["timeout", "interrupted"] = "timeout"

    @property
    def is_timeout(self) -> bool:
        """Whether the run has failed, also where all steps passed: a stop may come too late."""
        return self.reason is not None and self.kind == "timeout"


class _KnownOuts(Struct, frozen=True):
    """The (path, digest) pairs of this run and of earlier ones."""

    context: RunContext

    def __contains__(self, wanted: object) -> bool:
        for record in self.context.records.values():
            for ref in record.outs:
                if (ref.path, ref.digest) == wanted:
                    return True
        return wanted in self.context.known_outs


class RunContext(Struct, kw_only=True, frozen=True):
    """One run: what it carries out, where it writes, who listens, and what has ended so far.

    `cache` holds values, artifacts and earlier results; `index` remembers digests of files;
    `forced` tells which steps run whatever earlier results there are. With
    `artifacts_through_cache`, each step may run in a checkout of its own, so that artifacts reach
    it through the cache only. `known_outs` are the (path, digest) pairs that earlier runs recorded.
    `checkout` is the user's own, where the run is carried out in a private workspace of it.
    `auditor` runs some of the steps again whose earlier results stand. `watched` has, by step,
    paths outside the project where it may open files unseen, beside those that its code names.
    `held` is what is the same in each run of a step that is tried for the cause of a difference.
    `others` is what it shares with runs that go on beside it in this process. `watch` is asked at
    each attempt at a step for who reads along in its outputs. `continued` is an out of an earlier
    run, that the step which writes it finds in its place.
    `rerun_lock` is held while steps run again whose values were lost.
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
    kernels: KernelSource
    gpus: GpuPool
    artifacts_through_cache: bool = False
    forced: Callable[[str], bool] = force_no_step
    known_outs: Container[tuple[str, str]] = ()
    checkout: Path | None = None
    auditor: Auditor | None = None
    watched: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held: Held = NOTHING_HELD
    others: SideBySide | None = None
    watch: Callable[[str], OutputWatch | None] | None = None
    continued: FileRef | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    rerun_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _consumers: dict[str, dict[str, str]] = field(default_factory=dict)

    def consumers(self, giver: str) -> dict[str, str]:
        """For each value that a step gives, one of the steps that take it."""
        # Filled when a kernel first needs it: a run that only reuses must not walk all takes.
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
            # A remote may take minutes for a value, and Ctrl-C must not have to wait for it.
            await run_in_abandonable_thread(elsewhere.send, record)
        except asyncio.CancelledError:
            elsewhere.trouble = InfrastructureError(
                "interrupted while results were sent to the remote"
            )
        except InfrastructureError as error:
            # Noted once: a remote that failed is not tried again for each step that follows.
            elsewhere.trouble = error
            self.listener.noticed(f"going on without the remote: {error}")

    def continued_by(self, step: PlannedStep) -> FileRef | None:
        """The out of an earlier run from which the step goes on, if it does."""
        if self.continued is None or self.continued.path not in step.outs:
            return None
        return self.continued

    def clear_outs(self, step: PlannedStep) -> None:
        """Clear the places of what a step is about to write, but for what it goes on from."""
        paths = step.writes
        declared_files.make_folders(self.project.root, paths)
        files = declared_files.Files(self.cache.artifacts, self.index)
        displaced = declared_files.clear_outs(
            self.project.root, paths, _KnownOuts(self), self._displaced_folder, files
        )
        self._report_displaced(displaced)
        continued = self.continued_by(step)
        if continued is not None:
            self.put_back([continued], self.cache.artifacts)

    def put_back(self, refs: Iterable[FileRef], kept: Artifacts) -> None:
        """Put artifacts back in the workspace.

        IntegrityError when the object of one of them is missing or damaged.
        """
        files = declared_files.Files(kept, self.index)
        displaced = declared_files.restore_artifacts(
            self.project.root, refs, _KnownOuts(self), self._displaced_folder, files
        )
        self._report_displaced(displaced)

    def bring_deps(self, step: PlannedStep) -> Failure | None:
        """Make sure that the dependencies are there; the failure if they are not.

        Tracked data is brought as its `.dvc` file says.
        """
        root = self.project.root
        to_bring = (
            *deps.missing_data(root, step.deps),
            *deps.outdated_data(root, step.deps, self.index, self.cache.artifacts),
        )
        # One fetch brings all of them: DVC opens its cache and remote again each time.
        if any(self.cache.artifacts.missing_objects(ref.digest) for ref in to_bring):
            fetch_tracked(self.project, deps.tracking_files(root, step.deps))
        try:
            self.put_back(to_bring, self.cache.artifacts)
        except IntegrityError:
            names = ", ".join(ref.path for ref in to_bring)
            return Failure(
                kind="missing",
                message=f"DVC tracks {names}, but neither its cache nor a remote has it",
                hint="dvc pull",
            )

        failure = deps.altered_data(root, step.deps, self.index)
        return failure or declared_files.missing_deps(root, deps.with_data(root, step.deps))

    @property
    def _displaced_folder(self) -> Path:
        return self.folder.path / DISPLACED

    def _report_displaced(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.listener.noticed(
                f"{path} is about to be written; what was there is no run's, "
                f"and is kept as {self._displaced_folder / path}"
            )

    def whole_values(self, refs: Iterable[ValueRef]) -> frozenset[str]:
        """The digests of those values whose files match their digests.

        Each file is read once on this machine.
        """
        whole = set()
        for ref in refs:
            place = self.cache.value_path(ref.object)
            if place.is_file() and self.index.digest(place)[0] == ref.object:
                whole.add(ref.object)
        return frozenset(whole)

    async def environment_of(self, step: PlannedStep) -> Path | None:
        """The environment that the step's lock file asks for; None when the step asks for none."""
        if step.environment is None:
            return None
        return await self.environments.folder_for(step.environment, self.kernel_variables(step))

    def kernel_variables(self, step: PlannedStep, lease: Lease | None = None) -> dict[str, str]:
        """The variables of a step's kernel.

        They are those of this process, less the secrets of other steps, plus what the step asks
        for.
        """
        hidden = self._hidden_variables(step)
        variables = {name: value for name, value in self.environ.items() if name not in hidden}
        # Without it, Python orders sets of strings differently in each process, and results would
        # differ: https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED
        variables.setdefault("PYTHONHASHSEED", "0")
        variables |= {"NBCI_RUN": self.folder.run, "NBCI_STEP": step.name}
        if kind_of_notebook(step.notebook) is not None:
            variables[PYTHON] = sys.executable
        if lease is not None:
            variables["CUDA_VISIBLE_DEVICES"] = lease.device
        return {**variables, **(step.env or {}), **self.held.variables}

    def _hidden_variables(self, step: PlannedStep) -> set[str]:
        """The variables that a step's kernel does not get."""
        hidden = set(self.secrets) - set(step.secrets)
        # The code of a fork is a stranger's: it gets nothing that looks like a credential, either.
        if self.plan.fork is None:
            hidden -= set(self.project.secrets)
        else:
            hidden |= set(credentials(self.environ)) - set(step.secrets)
        # A cell that could read the key could sign a run of its own making.
        hidden.add(KEY)
        # Nor should it be able to write to a study.
        hidden.add(SWEEP_STORAGE)
        return hidden
