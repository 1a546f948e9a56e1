"""One step: its inputs, its tries in a kernel, and the record of what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import shutil
import time
from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from nbci.engine.caching.decide import Decision, decide
from nbci.engine.caching.reuse import is_kept, take_over
from nbci.engine.observed.below import paths_named, told_by, with_opened
from nbci.engine.observed.kinds import RUN_ID, VERSION, surroundings_of
from nbci.engine.observed.meanwhile import changed_deps, changed_meanwhile, changed_outs, noted
from nbci.engine.observed.record import observed_parts, outside, undeclared, without_secret_paths
from nbci.engine.steps import declared_files
from nbci.engine.steps.deps import dep_refs, tracking_files
from nbci.engine.steps.environment import InstallerFailed, LockRefused, environment_variables
from nbci.engine.steps.inputs import Inputs, inputs_for
from nbci.engine.steps.random_states import observed_use
from nbci.engine.steps.random_states import warnings as random_warnings
from nbci.engine.steps.regenerate import remake
from nbci.errors import InfrastructureError, IntegrityError, StepError, UsageError
from nbci.kernels.execute import run_job
from nbci.kernels.job import KernelJob, MetricProbe, ProgramCell
from nbci.pipeline.paths import overlap
from nbci.plan.program import program
from nbci.records import metrics
from nbci.records.run_record import Attempt, CellRun, Failure, FileRef, Metric, Part, StepRecord
from nbci.runs.folder import JOURNAL, NOTEBOOK, now_utc
from nbci.store.environments import interpreter_of

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.engine.context import RunContext
    from nbci.engine.observed.opens import Window
    from nbci.engine.steps.gpu import Lease
    from nbci.kernels.job import JobOutcome, Seen
    from nbci.plan.model import Plan, PlannedStep

_SIGTERM_SECONDS = 1.0
_INFRASTRUCTURE = ("kernel-start", "infrastructure")
_FINAL = ("interrupted", "join", "environment")
_INFRASTRUCTURE_RETRIES = 2
_FIRST_DELAY_SECONDS = 1.0
_LONGEST_DELAY_SECONDS = 30.0


Looked = tuple[Inputs, Decision]
"""What goes into a step, and whether an earlier result stands."""


def look(context: RunContext, step: PlannedStep) -> Looked | None:
    """Look at a step before it runs; None where something is wrong, which its run comes upon again
    and records.
    """
    try:
        return _look(context, step)
    except (StepError, IntegrityError, UsageError):
        return None


def _look(context: RunContext, step: PlannedStep) -> Looked:
    inputs = _inputs(context, step)
    return inputs, decide(context.project.root, step, inputs, context.cache, context.index)


def reused(context: RunContext, step: PlannedStep, looked: Looked) -> StepRecord | None:
    """The record of a step whose earlier result stands and was put back; None when it has to run."""
    _, decision = looked
    if decision.record is None or context.forced(step.name):
        return None
    try:
        return take_over(context, decision.record, decision.reason, decision.text)
    except IntegrityError as error:
        context.listener.noticed(f"step {step.name} runs again: {error}")
        return None


async def run_step(
    context: RunContext, step: PlannedStep, looked: Looked | None = None, *, again: bool = False
) -> StepRecord:
    """Run a step to its end, with retries; the record is written as it grows, so that a killed run
    can be read.

    `looked`: it was found that nothing can be reused. `again`: for a step whose values are needed
    once more, by one that is about to run.
    """
    before = context.folder.read_step(step.name)
    if before is not None and before.result == "running":
        before = context.folder.settle_killed(before)
    record = StepRecord(
        name=step.name,
        result="running",
        started_utc=now_utc(),
        host=platform.node(),
        kernel=step.kernel,
        attempts=before.attempts if before is not None else (),
    )
    started = time.monotonic()
    try:
        inputs, decision = looked or _look(context, step)
        if looked is None and not record.attempts:
            taken = reused(context, step, (inputs, decision))
            if taken is not None:
                return taken
        if decision.gone and not again:
            context.listener.noticed(
                f"step {step.name} runs again: {', '.join(decision.gone)}, which it wrote, is gone"
            )
        if await _remade(context, inputs, again):
            inputs, decision = _look(context, step)
        _refuse_withheld(step)
        context.folder.write_step(record)
        try:
            record = await _with_inputs(context, step, record, (inputs, decision))
        except IntegrityError:  # a value was removed or damaged after it was looked at
            if not await _remade(context, inputs, again):
                raise
            record = await _with_inputs(context, step, record, _look(context, step))
    except (StepError, IntegrityError, UsageError) as error:
        kind: Literal["join", "integrity", "missing"] = (
            "integrity"
            if isinstance(error, IntegrityError)
            else "missing"
            if isinstance(error, UsageError)
            else "join"
        )
        record = _failed_before(record, Failure(kind=kind, message=str(error), hint=error.hint))
    except asyncio.CancelledError:
        record = _failed_before(record, interruption(context))
    kept = record.result == "passed" and record.key is not None and is_kept(step, record)
    run = context.folder.run if kept else None
    record = replace(
        record, ended_utc=now_utc(), seconds=round(time.monotonic() - started, 3), run=run
    )
    context.folder.write_step(record)
    if kept:
        context.cache.keep(record, context.folder.step(step.name) / NOTEBOOK, context.index)
        await context.send(record)
    return record


def _refuse_withheld(step: PlannedStep) -> None:
    """UsageError for a step that asks for what the build of a fork does not get: without it, it
    does something else.
    """
    if step.withheld:
        raise UsageError(
            f"it asks for the secret {step.withheld[0]}, which builds of forks do not get",
            hint="the branch that the change goes to may allow it in its pipeline file: "
            f"`forks: {{secrets: [{step.withheld[0]}]}}`",
        )


async def _remade(context: RunContext, inputs: Inputs, again: bool) -> bool:
    """See to it that the values are here and whole; True when some had to be made again."""
    context.cache.bring_values(ref.object for ref in inputs.loaded)
    async with contextlib.nullcontext() if again else context.remaking:
        return await remake(context, inputs.loaded, partial(run_step, again=True))


async def _with_inputs(
    context: RunContext, step: PlannedStep, record: StepRecord, looked: Looked
) -> StepRecord:
    inputs, decision = looked
    record = replace(
        record, takes=inputs.loaded, params=inputs.params, key=decision.key, parts=decision.parts
    )
    return await _tries(context, step, inputs, record)


def broken_off(context: RunContext, name: str, error: Exception) -> StepRecord:
    """The record of a step that could not be run to its end because its own record could not be
    kept.
    """
    try:
        record = context.folder.read_step(name) or StepRecord(name=name, result="running")
    except IntegrityError:
        record = StepRecord(name=name, result="running")
    return _failed_before(
        record,
        Failure(kind="infrastructure", message=str(error), hint=getattr(error, "hint", None)),
    )


def interruption(context: RunContext) -> Failure:
    """Why a step was stopped from outside."""
    if context.stop_reason is not None:
        return Failure(kind="timeout", message=context.stop_reason)
    return Failure(kind="interrupted", message="the run was interrupted")


def _inputs(context: RunContext, step: PlannedStep) -> Inputs:
    if context.carries:
        outs = [ref for record in context.records.values() for ref in record.outs]
        needed = [ref for ref in outs if any(overlap(dep, ref.path) for dep in step.deps)]
        context.put_back(needed, context.cache.artifacts)
    return inputs_for(step, context.plan, context.records)


async def _tries(
    context: RunContext, step: PlannedStep, inputs: Inputs, record: StepRecord
) -> StepRecord:
    failures = infrastructure_failures = 0
    while True:
        _set_aside_last_try(context.folder.step(step.name), record)
        number = len(record.attempts) + 1
        context.listener.step_started(step.name, number)
        record = await _one_try(context, step, inputs, record)
        failure = record.attempts[-1].failure
        if failure is None or failure.kind in _FINAL or context.stop_reason is not None:
            return record
        if failure.kind in _INFRASTRUCTURE:
            infrastructure_failures += 1
            again, tries = (
                infrastructure_failures <= _INFRASTRUCTURE_RETRIES,
                infrastructure_failures,
            )
        else:
            failures += 1
            again, tries = failures <= step.retries, failures
        if not again:
            return record
        delay = min(_FIRST_DELAY_SECONDS * 2 ** (tries - 1), _LONGEST_DELAY_SECONDS)
        context.listener.step_retried(step.name, failure, delay)
        context.folder.write_step(replace(record, result="running"))
        await asyncio.sleep(delay)


def _set_aside_last_try(folder: Path, record: StepRecord) -> None:
    """Keep what the last try left, out of the way of the next."""
    if not record.attempts:
        return
    kept = folder / "attempts" / str(len(record.attempts))
    for name in (NOTEBOOK, JOURNAL, "kernel.log", "files"):
        if (folder / name).exists() and not (kept / name).exists():
            kept.mkdir(parents=True, exist_ok=True)
            shutil.move(folder / name, kept / name)


async def _one_try(
    context: RunContext, step: PlannedStep, inputs: Inputs, record: StepRecord
) -> StepRecord:
    started_utc, started, since_ns = now_utc(), time.monotonic(), time.time_ns()
    failure: Failure | None
    outcome: JobOutcome | None = None
    lease: Lease | None = None
    try:
        failure = context.bring_deps(step)
        if failure is None:
            place = await context.environment_of(step)
            lease = await context.lease_gpu(step)
            context.clear_outs(step)
            job = _in_environment(_job(context, step, inputs, lease), place)
            outcome = await _run_watched(context, step, job)
            failure = outcome.failure
    except (InfrastructureError, OSError) as error:
        failure = _of_the_machine(error)
    except LockRefused as error:
        failure = Failure(
            kind="environment", message=str(error), hint=error.hint, traceback=error.output or None
        )
    except UsageError as error:
        failure = Failure(kind="exception", message=str(error), hint=error.hint)
    finally:
        if lease is not None:
            lease.release()
    if failure is not None and failure.signal == "SIGTERM" and await _is_cancelled_soon():
        failure = interruption(context)
    if failure is not None and failure.kind == "interrupted":
        why = interruption(context)
        failure = replace(failure, kind=why.kind, message=why.message)
    if outcome is not None:
        record = _with_outcome(context, step, inputs, record, outcome)
        if outcome.seen is not None:
            around = surroundings_of(
                context.project.root, step, record.observed, context.index, context.environ
            )
            record = noted(
                record,
                changed_meanwhile(step, _of_the_step(context, outcome.seen), around, since_ns),
            )
    if failure is None:
        record, failure = _collect(context, step, record)
    attempt = Attempt(
        number=len(record.attempts) + 1,
        result="failed" if failure else "passed",
        started_utc=started_utc,
        seconds=round(time.monotonic() - started, 3),
        failure=failure,
        cells=outcome.cells if outcome else (),
        notebook=NOTEBOOK if outcome else None,
        log="kernel.log" if (context.folder.step(step.name) / "kernel.log").exists() else None,
    )
    return replace(record, result=attempt.result, attempts=(*record.attempts, attempt))


async def _is_cancelled_soon() -> bool:
    """Whether this task is cancelled within a moment, which is then taken back.

    A CI that aborts a build sends SIGTERM to all processes at once, so the kernel may die before
    nbci has its own.
    """
    try:
        await asyncio.sleep(_SIGTERM_SECONDS)
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return True
    return False


async def _run_watched(context: RunContext, step: PlannedStep, job: KernelJob) -> JobOutcome:
    """Run the step, and note what was opened meanwhile by code in which Python sees nothing."""
    opens = context.opens
    if opens is not None:
        opens.start()
    listener = _StepListener(context, step)
    seen: Seen | None = None
    try:
        outcome = await run_job(job, listener, context.zygotes)
        seen = outcome.seen
    finally:
        if opens is not None and listener.window is not None:
            opens.end(listener.window, told_by(seen) if seen is not None else ())
    if opens is None or listener.window is None or seen is None:
        return outcome
    return replace(outcome, seen=with_opened(seen, opens, listener.window))


def _of_the_machine(error: InfrastructureError | OSError) -> Failure:
    output = error.output if isinstance(error, InstallerFailed) else ""
    hint = error.hint if isinstance(error, InfrastructureError) else None
    return Failure(kind="infrastructure", message=str(error), hint=hint, traceback=output or None)


def _in_environment(job: KernelJob, place: Path | None) -> KernelJob:
    """The job as it runs in that environment; as it is where there is none."""
    if place is None:
        return job
    return replace(
        job, interpreter=interpreter_of(place), env=environment_variables(place, job.env)
    )


def _job(context: RunContext, step: PlannedStep, inputs: Inputs, lease: Lease | None) -> KernelJob:
    folder = context.folder.step(step.name)
    tagged = context.notebooks[step.notebook]
    refs = frozenset(name for ref in inputs.values for name in ref.refs)
    document = tagged.notebook.document
    overrides = {name: inputs.params[name] for name in step.overrides}
    cells = tuple(
        ProgramCell(
            role=cell.role,
            number=cell.number,
            source=cell.source,
            tags=tagged.notebook.cell(cell.number).tags
            if cell.number
            else ("injected-parameters",),
            metadata=document["cells"][cell.number - 1].get("metadata") if cell.number else None,
        )
        for cell in program(tagged, step, overrides=overrides, also=refs)
    )
    return KernelJob(
        step=step.name,
        kernel_name=step.kernel,
        language=step.language,
        notebook_metadata=document.get("metadata", {}),
        cells=cells,
        project=context.project.root,
        cwd=context.project.root / step.cwd,
        env=context.kernel_variables(step, lease),
        values_folder=context.cache.values,
        spill_folder=folder / "files",
        log_path=folder / "kernel.log",
        journal_path=folder / JOURNAL,
        takes=inputs.values,
        random_states=inputs.random.refs,
        followed=_is_followed(context.plan, step),
        verified=context.whole_values(inputs.loaded),
        gives=step.gives,
        optional_gives=(*step.optional_gives, *inputs.along),
        givers={take.name: "` or `".join(take.givers) for take in step.takes},
        consumers=context.consumers(step.name),
        defined_by_reference=frozenset(step.defined_by_reference),
        probes=tuple(
            MetricProbe(name=p.name, expression=p.expression, cell=p.cell) for p in step.probes
        ),
        secrets=context.secrets,
        shell_errors=context.plan.shell_errors,
        cell_timeout_seconds=step.cell_timeout_seconds,
        timeout_seconds=step.timeout_seconds,
        output_cap_bytes=context.project.output_cap_bytes,
    )


def _is_followed(plan: Plan, step: PlannedStep) -> bool:
    """Whether other steps stand behind it in the notebook, and would see there what it leaves in
    its process.
    """
    end = max((cell.number or 0 for cell in step.cells if cell.role == "step"), default=0)
    others = (
        other for other in plan.steps if (other.node, other.notebook) == (step.node, step.notebook)
    )
    return any(
        (cell.number or 0) > end for other in others for cell in other.cells if cell.role == "step"
    )


def _with_outcome(
    context: RunContext, step: PlannedStep, inputs: Inputs, record: StepRecord, outcome: JobOutcome
) -> StepRecord:
    """The record with what the kernel told; the executed notebook is written beside it."""
    context.folder.write_executed(step.name, outcome.notebook)
    for ref in outcome.gives:
        context.index.trust(context.cache.value_path(ref.object), ref.object)
    seen = outcome.seen
    observed: tuple[Part, ...] = ()
    warnings = outcome.warnings
    if seen is not None:
        seen = _of_the_step(context, seen)
        surroundings = surroundings_of(
            context.project.root, step, (), context.index, context.environ
        )
        observed = observed_parts(step, seen, outcome.distributions or {}, surroundings)
        wrote = undeclared(context.project.root, step, seen.written)
        if seen.network and step.cache is None:
            warnings += (
                "the step used the network, so it runs every time; `cache: enabled` lets it be reused",
            )
        if step.cache is None and any(part.kind == RUN_ID for part in observed):
            why = "the step read NBCI_RUN, which is another in every run, so it runs every time"
            warnings += (f"{why}; `cache: enabled` lets it be reused",)
        if seen.has_secret_paths and step.cache is None:
            why = "the step used a file whose path is a secret, so it runs every time"
            warnings += (f"{why}; `cache: enabled` lets it be reused",)
        warnings += _unkept(step, seen)
        observed += observed_use(outcome.random, inputs.random)
        warnings += tuple(random_warnings(outcome.random, inputs.random, step.name))
        warnings += tuple(
            f"{what}, which later steps do not see: set it in a cell tagged `imports`, which every step runs"
            for what in outcome.left
        )
        warnings += tuple(f"the step wrote {path}, which it does not declare" for path in wrote)
    return replace(
        record,
        observed=observed,
        observed_version=VERSION,
        gives=outcome.gives,
        deleted=outcome.deleted,
        metrics=metrics.merged(metrics.of_scraps(outcome.scraps), outcome.probes),
        scraps=outcome.scraps,
        distributions=outcome.distributions,
        kernel_version=outcome.kernel_version,
        usage=outcome.usage,
        warnings=warnings,
    )


def _of_the_step(context: RunContext, seen: Seen) -> Seen:
    """What was seen that may stand in a record, and is the step's own doing."""
    return without_secret_paths(outside(seen, context.cache.root), context.mask)


def _unkept(step: PlannedStep, seen: Seen) -> tuple[str, ...]:
    """Why a step that says nothing of what it uses runs every time."""
    if step.cache is not None or step.deps:
        return ()
    remedy = (
        "so it runs every time; `deps` for what it reads, or `cache: enabled`, lets it be reused"
    )
    started = f"the step started {', '.join(seen.programs)}, which may read what nbci does not see, {remedy}"
    unseen = f"{', '.join(seen.unwatched)} may have read files of which the system does not tell, {remedy}"
    return (*((started,) if seen.programs else ()), *((unseen,) if seen.unwatched else ()))


def _collect(
    context: RunContext, step: PlannedStep, record: StepRecord
) -> tuple[StepRecord, Failure | None]:
    """What a step that ended well left behind: outs and metrics files; the failure when one is
    missing.
    """
    root = context.project.root
    failure = declared_files.missing_outs(root, (*step.outs, *step.metrics))
    if failure is not None:
        return record, failure
    found: list[Metric] = []
    try:
        for path in step.metrics:
            found += metrics.of_json((root / path).read_bytes(), path)
        outs = tuple(
            _kept_out(context, step, path) for path in dict.fromkeys((*step.outs, *step.metrics))
        )
        lock = (step.environment,) if step.environment is not None else ()
        deps = tuple(dep_refs(root, dict.fromkeys((*step.deps, *lock)), context.index))
        deps += tuple(
            context.index.fingerprint(root, path) for path in tracking_files(root, step.deps)
        )
    except StepError as error:
        return record, Failure(kind="missing", message=str(error), hint=error.hint)
    record = replace(record, metrics=metrics.merged(record.metrics, found), outs=outs, deps=deps)
    earlier = (done for name, done in context.records.items() if name != step.name)
    return noted(
        record, (*changed_deps(step, record.parts, deps), *changed_outs(deps, earlier))
    ), None


def _kept_out(context: RunContext, step: PlannedStep, path: str) -> FileRef:
    if context.carries or step.cache is not False:
        return context.cache.artifacts.keep(context.project.root, path, context.index)
    return context.index.fingerprint(context.project.root, path)


def _failed_before(record: StepRecord, failure: Failure) -> StepRecord:
    """The step failed outside any try in a kernel."""
    attempt = Attempt(
        number=len(record.attempts) + 1,
        result="failed",
        started_utc=now_utc(),
        seconds=0.0,
        failure=failure,
    )
    return replace(record, result="failed", attempts=(*record.attempts, attempt))


class _StepListener:
    """Passes what a step's kernel tells on to the run's listener, with the step's name.

    `window` is open from the first cell on: until then the kernel starts, and the project's folders
    are looked up.
    """

    def __init__(self, context: RunContext, step: PlannedStep) -> None:
        self._listener = context.listener
        self._step = step.name
        self._opens = context.opens
        self._elsewhere = partial(paths_named, step, context.project.root)
        self._outs = [str(context.project.root / path) for path in (*step.outs, *step.metrics)]
        self.window: Window | None = None

    def cell_started(self, cell: ProgramCell, index: int, total: int) -> None:
        if self.window is None and self._opens is not None:
            self.window = self._opens.begin(self._elsewhere(), self._outs)
        first_line = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
        self._listener.cell_started(self._step, cell.number, first_line, index, total)

    def text_printed(
        self, cell: ProgramCell | None, text: str, stream: Literal["stdout", "stderr"]
    ) -> None:
        self._listener.text_printed(self._step, text, stream)

    def cell_ended(self, cell: ProgramCell, run: CellRun) -> None:
        self._listener.cell_ended(self._step, run)
