"""A run about to begin: all that can be refused has been looked at, and nothing is written yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.behaviour.predictions_file import check_reader
from nbci.engine.context import RunContext, force_no_step
from nbci.engine.event_log import EventLog
from nbci.engine.kernel_source import KernelSource
from nbci.engine.listener import Listeners
from nbci.engine.prepare import check_kernels, find_secrets, mask_of, refuse_written_secrets
from nbci.engine.steps.aliases import Ended
from nbci.engine.steps.environment import StepEnvironments, check_environments
from nbci.engine.steps.gpu import GpuPool
from nbci.engine.steps.output_check import check_stored_outputs
from nbci.engine.write_places import check_places
from nbci.kernels.held import NOTHING_HELD, Held
from nbci.store.cache import user_cache
from nbci.store.environments import Environments
from nbci.store.file_index import FileIndex, project_index

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from pathlib import Path

    from nbci.config import Project
    from nbci.engine.listener import RunListener
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.secrets import Mask
    from nbci.store.cache import Cache


class Ready(Struct, frozen=True, kw_only=True):
    """A plan, whole or in part, that this machine can carry out.

    `secrets` are those of the whole plan.
    """

    project: Project
    plan: Plan
    notebooks: Mapping[str, TaggedNotebook]
    environ: Mapping[str, str]
    cache: Cache
    index: FileIndex
    secrets: Mapping[str, str]
    mask: Mask

    def begin(
        self,
        folder: RunFolder,
        display: RunListener,
        *,
        log: Path,
        ended: Iterable[StepRecord] = (),
        artifacts_through_cache: bool = False,
        forced: Callable[[str], bool] = force_no_step,
        known_outs: Container[tuple[str, str]] = (),
        checkout: Path | None = None,
        held: Held = NOTHING_HELD,
    ) -> RunContext:
        """What the steps share, in the run's own folder.

        `log` takes the events; `ended` are the steps that ran elsewhere; the rest is as the context
        has it.
        """
        listener = Listeners([EventLog(log), display])
        return RunContext(
            project=self.project,
            plan=self.plan,
            folder=folder,
            notebooks=self.notebooks,
            listener=listener,
            environ=self.environ,
            mask=self.mask,
            secrets=self.secrets,
            cache=self.cache,
            index=self.index,
            records=Ended(self.plan, ended),
            environments=self._environments(listener),
            kernels=self._kernel_source(listener),
            gpus=GpuPool(environ=self.environ, noticed=listener.noticed),
            artifacts_through_cache=artifacts_through_cache,
            forced=forced,
            known_outs=known_outs,
            checkout=checkout,
            held=held,
        )

    def _environments(self, listener: RunListener) -> StepEnvironments:
        # In the build of a fork: what its lock files install must not get into trusted builds.
        folder = user_cache(self.environ).root / (self.project.prefix or "") / "environments"
        return StepEnvironments(
            root=self.project.root,
            kept=Environments(folder),
            mask=self.mask,
            noticed=listener.noticed,
        )

    def _kernel_source(self, listener: RunListener) -> KernelSource:
        # A zygote serves all steps, so it gets no secret: each kernel is given its own ones later.
        environ = {name: value for name, value in self.environ.items() if name not in self.secrets}
        return KernelSource(self.project.root, environ, listener.noticed)

    def save(self) -> None:
        """Keep what was learnt of files and objects for the next process."""
        self.index.save()
        self.cache.save()


def make_ready(
    project: Project,
    plan: Plan,
    notebooks: Mapping[str, TaggedNotebook],
    *,
    cache: Cache,
    environ: Mapping[str, str],
    part: Sequence[PlannedStep] | None = None,
) -> Ready:
    """Check that this machine has what the steps of the plan, or of the part, need.

    UsageError when something is missing.
    """
    steps: Sequence[PlannedStep] = plan.steps
    if part is not None:
        steps = part
    check_kernels(steps)
    check_environments(project.root, steps)
    check_reader(steps)
    check_stored_outputs(steps, notebooks)
    check_places(project.root, steps, cache.object_folders)

    # Every secret of the plan is looked up, whichever step runs here: what one step may read is
    # hidden from the others, and masked in what they print.
    secrets = find_secrets(plan, project.secrets, environ, steps)
    mask = mask_of(secrets, environ)
    refuse_written_secrets(plan, mask)
    return Ready(
        project=project,
        plan=plan,
        notebooks=notebooks,
        environ=environ,
        cache=cache,
        index=project_index(project),
        secrets=secrets,
        mask=mask,
    )
