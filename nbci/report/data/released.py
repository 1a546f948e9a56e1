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


def of_manifest(manifest: Manifest) -> Compared:
    """The run that was promoted, as far as its evidence tells; its steps have no cells."""
    record = RunRecord(
        run=manifest.run,
        pipeline=manifest.pipeline,
        target=manifest.target,
        result="passed",
        nbci=manifest.nbci,
        platform=manifest.platform,
        python=manifest.python,
        git=GitState(commit=manifest.commit, branch=manifest.branch, dirty=False),
        params=manifest.params,
        sources=manifest.sources,
        verdict=manifest.verdict,
        steps=tuple(map(_record, manifest.steps)),
    )
    steps = tuple(
        PlannedStep(
            name=step.name, notebook=step.notebook, kernel=step.kernel or "", language="", cells=()
        )
        for step in manifest.steps
    )
    return Compared(
        record=record,
        plan=Plan(
            pipeline=manifest.pipeline,
            target=manifest.target,
            steps=steps,
            sources=manifest.sources,
        ),
    )


def _record(step: EvidenceStep) -> StepRecord:
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
        if path.endswith(SUFFIXES) and known.get(path) != digest:
            old = _read(git, release, path) if path in known else b""
            new = _of_run(root, git, record, path, digest)
            # Reversed, because the last entry of a key wins and the first step is to be named.
            users = {
                cell.number: step.name
                for step in reversed(plan.steps)
                if step.notebook == path
                for cell in step.cells
            }
            found = code_changes(_whole(path, old), _whole(path, new))
            changes += [
                replace(change, step=users.get(change.after, plan.pipeline)) for change in found
            ]
    return tuple(changes)


def _of_run(root: Path, git: Git, record: RunRecord, path: str, digest: str) -> bytes:
    """Return the notebook as the run had it.

    That is the one in the project if it is still the same, else the committed one.
    """
    with contextlib.suppress(OSError):
        text = (root / path).read_bytes()
        if source_digest(text) == digest:
            return text
    return _read(git, (record.git and record.git.commit) or "HEAD", path)


def _read(git: Git, commit: str, path: str) -> bytes:
    return git.bytes("cat-file", "blob", operands=[f"{commit}:{git.prefix}{path}"])


def _whole(path: str, text: bytes) -> Plan:
    """Return a notebook's whole program as that of one step.

    A step's own program leaves out the imports that it does not need.
    """
    cells: tuple[PlannedCell, ...] = ()
    if text:
        tagged = understand(parse_notebook(text, path))
        blocks = tagged.blocks
        numbers = {*blocks.parameters, *blocks.imports, *blocks.functions, *blocks.metrics}
        numbers |= {number for step in tagged.steps for number in step.cells}
        shown = (tagged.notebook.cell(number) for number in sorted(numbers))
        cells = tuple(
            PlannedCell(role="step", number=cell.number, source=cell.source) for cell in shown
        )
    step = PlannedStep(name=path, notebook=path, kernel="", language="", cells=cells)
    return Plan(pipeline="", target=path, steps=(step,))
