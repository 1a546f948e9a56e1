"""A step's record with what its kernel told, and with the files that it left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.behaviour.predictions_file import read_predictions
from nbci.engine.observed.kinds import RUN_ID, VERSION, surroundings_of
from nbci.engine.observed.meanwhile import changed_deps, changed_outs, note_changes
from nbci.engine.observed.record import (
    observed_parts,
    outside,
    undeclared,
    without_secret_paths,
    written_beside,
)
from nbci.engine.steps import declared_files
from nbci.engine.steps.deps import dep_refs, tracking_files
from nbci.engine.steps.random_states import observed_use, unordered_draws
from nbci.engine.steps.random_states import warnings as random_warnings
from nbci.errors import StepError
from nbci.formatting.numbers import listed
from nbci.records import metrics
from nbci.records.run_record import Failure, FileRef, Metric, Part, StepRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.engine.context import RunContext
    from nbci.engine.steps.inputs import Inputs
    from nbci.kernels.job import JobOutcome, Seen
    from nbci.plan.model import PlannedStep

_PATHS_NAMED = 3
_LETS_IT = "`cache: enabled` lets it be reused"


def add_outcome(
    context: RunContext, step: PlannedStep, inputs: Inputs, record: StepRecord, outcome: JobOutcome
) -> StepRecord:
    """The record with what the kernel told; the executed notebook is written beside it."""
    context.folder.write_executed(step.name, outcome.notebook)
    for ref in outcome.gives:
        # A value's file is named by its digest and never changes: it need not be read again.
        context.index.trust(context.cache.value_path(ref.object), ref.object)
    observed: tuple[Part, ...] = ()
    warnings = outcome.warnings
    if outcome.seen is not None:
        seen = own_doing(context, outcome.seen)
        observed = _observations(context, step, seen, outcome)
        # Whether its result is kept is decided by these alone, before random states are added.
        warnings += tuple(_why_it_runs_every_time(step, seen, observed))
        observed += observed_use(outcome.random, inputs.random)
        warnings += tuple(random_warnings(outcome.random, inputs.random, step.name))
        warnings += tuple(_unordered_draws(context, step, inputs, outcome))
        warnings += tuple(_what_is_left_behind(context, step, seen, outcome))
        _tell_what_connects_runs(context, step, seen, observed)
    return replace(
        record,
        observed=observed,
        observed_version=VERSION,
        gives=outcome.gives,
        deleted=outcome.deleted,
        metrics=metrics.merge_metrics(metrics.of_scraps(outcome.scraps), outcome.probes),
        scraps=outcome.scraps,
        distributions=outcome.distributions,
        kernel_version=outcome.kernel_version,
        usage=outcome.usage,
        warnings=warnings,
    )


def add_files(
    context: RunContext, step: PlannedStep, record: StepRecord
) -> tuple[StepRecord, Failure | None]:
    """The record with outs, metrics files and deps of a step that ended well.

    With the failure where one of them is missing.
    """
    root = context.project.root
    declared = tuple(dict.fromkeys(step.writes))
    failure = declared_files.missing_outs(root, step.writes)
    if failure is not None:
        return record, failure
    found: list[Metric] = []
    try:
        for path in step.metrics:
            found += metrics.of_json((root / path).read_bytes(), path)
        outs = tuple(_keep_out(context, step, path) for path in declared)
        deps = _deps(context, step)
        if step.predictions is not None:
            read_predictions(root / step.predictions, step.predictions)
    except StepError as error:
        return record, Failure(kind="missing", message=str(error), hint=error.hint)

    record = replace(
        record, metrics=metrics.merge_metrics(record.metrics, found), outs=outs, deps=deps
    )
    # A resumed or repeated step has a record already, whose outs it has just replaced.
    earlier = (done for name, done in context.records.items() if name != step.name)
    changes = (*changed_deps(step, record.parts, deps), *changed_outs(deps, earlier))
    return note_changes(record, changes), None


def left_workspace(context: RunContext, outcome: JobOutcome) -> Failure | None:
    """The failure of a step that wrote into the checkout, where it runs in a workspace of it."""
    if context.checkout is None or outcome.seen is None:
        return None
    # The cache may lie in the checkout, as a CI wants that keeps it: values are saved there.
    own = outside(outcome.seen, context.cache.root)
    written = written_beside(context.project.root, context.checkout, own.written)
    if not written:
        return None
    return Failure(
        kind="exception",
        message=f"the step wrote {listed(written, _PATHS_NAMED)} in your checkout, "
        "not in the workspace that it ran in",
        hint="name files relative to the folder that the step runs in",
    )


def own_doing(context: RunContext, seen: Seen) -> Seen:
    """What was seen that may stand in a record, and is the step's own doing."""
    return without_secret_paths(outside(seen, context.cache.root), context.mask)


def _observations(
    context: RunContext, step: PlannedStep, seen: Seen, outcome: JobOutcome
) -> tuple[Part, ...]:
    surroundings = surroundings_of(context.project.root, step, (), context.index, context.environ)
    return observed_parts(step, seen, outcome.distributions or {}, surroundings)


def _why_it_runs_every_time(
    step: PlannedStep, seen: Seen, observed: tuple[Part, ...]
) -> Iterator[str]:
    """Warnings of what keeps a step from being reused that does not say whether it may be."""
    if step.cache is not None:
        return
    if seen.network:
        yield f"the step used the network, so it runs every time; {_LETS_IT}"
    if any(part.kind == RUN_ID for part in observed):
        yield (
            "the step read NBCI_RUN, which is another in every run, "
            f"so it runs every time; {_LETS_IT}"
        )
    if seen.has_secret_paths:
        yield (f"the step used a file whose path is a secret, so it runs every time; {_LETS_IT}")
    if step.deps:
        return
    remedy = (
        "so it runs every time; `deps` for what it reads, or `cache: enabled`, lets it be reused"
    )
    if seen.programs:
        programs = ", ".join(seen.programs)
        yield f"the step started {programs}, which may read what nbci does not see, {remedy}"
    if seen.unwatched:
        unseen = ", ".join(seen.unwatched)
        yield f"{unseen} may have read files of which the system does not tell, {remedy}"


def _unordered_draws(
    context: RunContext, step: PlannedStep, inputs: Inputs, outcome: JobOutcome
) -> Iterator[str]:
    """Warnings of steps that drew from copies of one random state."""
    # With `prev:` tags the branches, and so the copies, are what the notebook asks for.
    if context.notebooks[step.notebook].declares_edges:
        return
    context.records.random_use[step.name] = outcome.random
    yield from unordered_draws(step, inputs.random, context.records)


def _what_is_left_behind(
    context: RunContext, step: PlannedStep, seen: Seen, outcome: JobOutcome
) -> Iterator[str]:
    """Warnings of settings that later steps do not see, and of files that are not declared."""
    for what in outcome.left:
        yield (
            f"{what}, which later steps do not see: "
            "set it in a cell tagged `imports`, which every step runs"
        )
    for path in undeclared(context.project.root, step, seen.written):
        yield f"the step wrote {path}, which it does not declare"


def _tell_what_connects_runs(
    context: RunContext, step: PlannedStep, seen: Seen, observed: tuple[Part, ...]
) -> None:
    if context.others is None:
        return
    inside = f"{context.project.root}/"
    written = [path for path in seen.written if not path.startswith(inside)]
    read = [(part.kind, part.label) for part in observed]
    for text in context.others.files.note(context.folder.run, step.name, written, read):
        context.listener.noticed(text)


def _keep_out(context: RunContext, step: PlannedStep, path: str) -> FileRef:
    # In a run of parts, outs reach the other machines only through the store.
    if context.artifacts_through_cache or step.cache is not False:
        return context.cache.artifacts.keep(context.project.root, path, context.index)
    return context.index.fingerprint(context.project.root, path)


def _deps(context: RunContext, step: PlannedStep) -> tuple[FileRef, ...]:
    """What the step depended on, with its lock file and the `.dvc` files of tracked data."""
    root, index = context.project.root, context.index
    declared = [*step.deps]
    if step.environment is not None:
        declared.append(step.environment)
    refs = list(dep_refs(root, dict.fromkeys(declared), index))
    refs += [index.fingerprint(root, path) for path in tracking_files(root, step.deps)]
    return tuple(refs)
