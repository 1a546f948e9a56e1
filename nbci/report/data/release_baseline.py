"""A release as a run to compare with: what its manifest tells, and the code at its commit."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.notebook.read import SUFFIXES, parse_notebook
from nbci.pipeline.tagged import understand
from nbci.plan.compare import CellChange, Compared, code_changes
from nbci.plan.model import Plan, PlannedCell, PlannedStep
from nbci.project.sources import source_digest
from nbci.records.git_state import GitState
from nbci.records.run_record import RunRecord, StepRecord

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.git.process import Git
    from nbci.records.manifest import EvidenceStep, Manifest


def compared_of_manifest(manifest: Manifest) -> Compared:
    """The run that was promoted, as far as its evidence tells; its steps have no cells."""
    record = RunRecord(
        run=manifest.run,
        pipeline=manifest.pipeline,
        target=manifest.target,
        # What has not passed is not promoted.
        result="passed",
        nbci=manifest.nbci,
        platform=manifest.platform,
        python=manifest.python,
        git=GitState(commit=manifest.commit, branch=manifest.branch, dirty=False),
        params=manifest.params,
        sources=manifest.sources,
        verdict=manifest.verdict,
        steps=tuple(map(_step_record, manifest.steps)),
    )
    plan = Plan(
        pipeline=manifest.pipeline,
        target=manifest.target,
        steps=tuple(map(_planned_step, manifest.steps)),
        sources=manifest.sources,
    )
    return Compared(record=record, plan=plan)


def _planned_step(step: EvidenceStep) -> PlannedStep:
    # A manifest has no cells: changed_code reads them from the notebooks at the release's commit.
    return PlannedStep(
        name=step.name, notebook=step.notebook, kernel=step.kernel or "", language="", cells=()
    )


def _step_record(step: EvidenceStep) -> StepRecord:
    return StepRecord(
        name=step.name,
        result="passed",
        started_utc=step.started_utc,
        ended_utc=step.ended_utc,
        run=step.run,
        host=step.host,
        kernel=step.kernel,
        kernel_version=step.kernel_version,
        key=step.key,
        params=step.params,
        takes=step.takes,
        gives=step.gives,
        deps=step.deps,
        outs=step.outs,
        metrics=step.metrics,
        distributions=step.distributions,
    )


def changed_code(
    root: Path, release: str, manifest: Manifest, record: RunRecord, plan: Plan
) -> tuple[CellChange, ...]:
    """Return the changes of code by cell from the release's notebooks to the run's.

    The release's notebooks are those at the commit `release`, which came with the manifest.

    Cells are given to the first step that runs them. GitFailed where a notebook is not to be had
    any more.
    """
    from nbci.git.process import Git

    git, known = Git(root), manifest.sources or {}
    changes: list[CellChange] = []
    for path, digest in (plan.sources or {}).items():
        # Equal digests spare git and the parser the notebook: most are the same.
        if not path.endswith(SUFFIXES) or known.get(path) == digest:
            continue
        old = b""
        if path in known:
            old = _read_blob(git, release, path)
        new = _notebook_of_run(root, git, record, path, digest)
        users = _first_users(plan, path)
        for change in code_changes(_whole_program(path, old), _whole_program(path, new)):
            changes.append(replace(change, step=users.get(change.after, plan.pipeline)))
    return tuple(changes)


def _first_users(plan: Plan, notebook: str) -> dict[int | None, str]:
    """The first step that runs each cell of the notebook, by the cell's number."""
    users: dict[int | None, str] = {}
    for step in plan.steps:
        if step.notebook == notebook:
            for cell in step.cells:
                users.setdefault(cell.number, step.name)
    return users


def _notebook_of_run(root: Path, git: Git, record: RunRecord, path: str, digest: str) -> bytes:
    """Return the notebook as the run had it.

    That is the one in the project if it is still the same, else the committed one.
    """
    with contextlib.suppress(OSError):
        text = (root / path).read_bytes()
        if source_digest(text) == digest:
            return text
    commit = "HEAD"
    if record.git and record.git.commit:
        commit = record.git.commit
    return _read_blob(git, commit, path)


def _read_blob(git: Git, commit: str, path: str) -> bytes:
    return git.bytes("cat-file", "blob", operands=[f"{commit}:{git.prefix}{path}"])


def _whole_program(path: str, text: bytes) -> Plan:
    """Return a notebook's whole program as that of one step.

    A step's own program leaves out the imports that it does not need.
    """
    cells: tuple[PlannedCell, ...] = ()
    if text:
        tagged = understand(parse_notebook(text, path))
        blocks = tagged.blocks
        numbers = {*blocks.parameters, *blocks.imports, *blocks.functions, *blocks.metrics}
        for tagged_step in tagged.steps:
            numbers.update(tagged_step.cells)
        cells = tuple(
            PlannedCell(role="step", number=number, source=tagged.notebook.cell(number).source)
            for number in sorted(numbers)
        )
    step = PlannedStep(name=path, notebook=path, kernel="", language="", cells=cells)
    return Plan(pipeline="", target=path, steps=(step,))
