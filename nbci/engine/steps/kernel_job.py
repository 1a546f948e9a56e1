"""What a kernel is asked to do for one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.engine.steps.environment import environment_variables
from nbci.kernels.job import KernelJob, MetricProbe, ProgramCell
from nbci.plan.program import program
from nbci.runs.file_names import JOURNAL, KERNEL_LOG, SPILL_FOLDER
from nbci.store.environments import interpreter_of

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.engine.context import RunContext
    from nbci.engine.steps.gpu import Lease
    from nbci.engine.steps.inputs import Inputs
    from nbci.plan.model import Plan, PlannedStep, Probe

_INJECTED = ("injected-parameters",)
"""The tag that papermill gives the cell with a run's parameters."""


def kernel_job(
    context: RunContext, step: PlannedStep, inputs: Inputs, lease: Lease | None
) -> KernelJob:
    """The job of the step in the kernel that its notebook names."""
    folder = context.folder.step(step.name)
    document = context.notebooks[step.notebook].notebook.document
    return KernelJob(
        step=step.name,
        kernel_name=step.kernel,
        language=step.language,
        notebook_metadata=document.get("metadata", {}),
        cells=_cells(context, step, inputs),
        project=context.project.root,
        cwd=context.project.root / step.cwd,
        env=context.kernel_variables(step, lease),
        values_folder=context.cache.values,
        spill_folder=folder / SPILL_FOLDER,
        log_path=folder / KERNEL_LOG,
        journal_path=folder / JOURNAL,
        takes=inputs.values,
        random_states=inputs.random.refs,
        followed=_is_followed(context.plan, step),
        verified=context.whole_values(inputs.loaded),
        gives=step.gives,
        optional_gives=(*step.optional_gives, *inputs.along),
        # in the words of the message about a value that cannot be loaded
        givers={take.name: "` or `".join(take.givers) for take in step.takes},
        consumers=context.consumers(step.name),
        defined_by_reference=frozenset(step.defined_by_reference),
        probes=tuple(map(_metric_probe, (*step.probes, *step.asked))),
        secrets=context.secrets,
        shell_errors=context.plan.shell_errors,
        cell_timeout_seconds=step.cell_timeout_seconds,
        timeout_seconds=step.timeout_seconds,
        output_cap_bytes=context.project.output_cap_bytes,
        held=context.held.in_kernel,
    )


def in_environment(job: KernelJob, place: Path | None) -> KernelJob:
    """The job as it runs in that environment; as it is where there is none."""
    if place is None:
        return job
    return replace(
        job, interpreter=interpreter_of(place), env=environment_variables(place, job.env)
    )


def _metric_probe(probe: Probe) -> MetricProbe:
    return MetricProbe(name=probe.name, expression=probe.expression, cell=probe.cell)


def _cells(context: RunContext, step: PlannedStep, inputs: Inputs) -> tuple[ProgramCell, ...]:
    """The step's program, each cell with the tags and metadata that it has in the notebook."""
    tagged = context.notebooks[step.notebook]
    in_document = tagged.notebook.document["cells"]
    refs: set[str] = set()
    for value in inputs.values:
        refs.update(value.refs)
    overrides = {name: inputs.params[name] for name in step.overrides}

    cells = []
    for cell in program(tagged, step, overrides=overrides, also=frozenset(refs)):
        tags: tuple[str, ...] = _INJECTED
        metadata = None
        # The cell with parameters stands in no notebook, and has no number.
        if cell.number:
            tags = tagged.notebook.cell(cell.number).tags
            metadata = in_document[cell.number - 1].get("metadata")
        cells.append(
            ProgramCell(
                role=cell.role,
                number=cell.number,
                source=cell.source,
                tags=tags,
                metadata=metadata,
            )
        )
    return tuple(cells)


def _is_followed(plan: Plan, step: PlannedStep) -> bool:
    """Whether other steps stand behind it in the notebook.

    They would see there what it leaves in its process, so that is compared at its end.
    """
    end = _last_own_cell(step)
    for other in plan.steps:
        if (other.node, other.notebook) != (step.node, step.notebook):
            continue
        if _last_own_cell(other) > end:
            return True
    return False


def _last_own_cell(step: PlannedStep) -> int:
    """The number of its last cell that is its own, unlike imports and functions cells."""
    last = 0
    for cell in step.cells:
        if cell.role == "step":
            last = max(last, cell.number or 0)
    return last
