"""Find the predictions that a gate compares: those of the run, and those of its baseline."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.data.sharing import shared_cache
from nbci.errors import NbciError
from nbci.gates.baselines import last_passed_run
from nbci.gates.cases import NoCases
from nbci.git.process import Git
from nbci.graph import by_name
from nbci.registry.read import read_manifest
from nbci.runs.file_names import RUN_FILE
from nbci.runs.folder import RunFolder
from nbci.store.file_index import project_index
from nbci.store.safe_paths import checked_run, place_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.gates.baseline import Baseline
    from nbci.gates.baselines import Search
    from nbci.pipeline.rules import Gate
    from nbci.records.manifest import EvidenceStep
    from nbci.records.run_record import FileRef, Remeasured, RunRecord, StepRecord
    from nbci.store.artifacts import Artifacts
    from nbci.store.objects import Objects


class PredictionsFile(Struct, frozen=True, kw_only=True):
    """A file of predictions as a run recorded it.

    `source` is what people call it, `data` says what was predicted, and `not_remeasured` why that
    is not the data of the judged run. `files` change when another file takes its place.
    """

    ref: FileRef
    source: str
    data: str = "predicted on its own data"
    not_remeasured: str | None = None
    files: tuple[str, ...] = ()


def predictions_of_run(record: RunRecord, search: Search, step: str) -> PredictionsFile | NoCases:
    """Those that the step of the judged run made."""
    made = record.step(step)
    if made is not None and made.result == "skipped":
        reason = ": ".join(filter(None, (f"step {step} was skipped", made.reason)))
        return NoCases(reason=reason, rule="missing")
    path = search.plan.step(step).predictions
    found = _out_of(record.steps, step, str(path), record.run)
    if isinstance(found, NoCases):
        return replace(found, rule="missing")
    return found


def predictions_of_baseline(
    gate: Gate, baseline: Baseline, record: RunRecord, search: Search
) -> PredictionsFile | NoCases:
    """Those of the baseline's model: on this run's data where it was measured again, else its own.

    Its own are found by the record of its run where that is here, else by its release.
    """
    if gate.remeasure == "no":
        return _recorded(gate, baseline, search)
    reason = None
    for again in record.remeasured:
        if (again.asked, again.step) != (gate.baseline, gate.step):
            continue
        if again.reason is None:
            return _remeasured(again, search)
        reason = again.reason
    if gate.remeasure == "required":
        # Whoever asks for it does not want the predictions of another day.
        why = reason or f"no model is measured by step {gate.step}"
        return NoCases(reason=f"it must be measured again, and {why}")
    recorded = _recorded(gate, baseline, search)
    if isinstance(recorded, NoCases):
        return recorded
    return replace(recorded, not_remeasured=reason)


def _remeasured(again: Remeasured, search: Search) -> PredictionsFile | NoCases:
    path = str(search.plan.step(again.step).predictions)
    for ref in again.outs:
        if ref.path == path:
            source = f"{path} of run {again.run}"
            return PredictionsFile(ref=ref, source=source, data="predicted on this run's data")
    return NoCases(reason=f"run {again.run} has no {path} of step {again.step}")


def _recorded(gate: Gate, baseline: Baseline, search: Search) -> PredictionsFile | NoCases:
    step = str(gate.step)
    folder = _run_folder(baseline, search)
    if folder is not None:
        return _of_folder(folder, step)
    if baseline.release is not None:
        return _of_release(baseline, search, step)
    reason = f"no run of {baseline.source} is here that could have made predictions"
    return NoCases(reason=reason, rule="missing")


def _run_folder(baseline: Baseline, search: Search) -> RunFolder | None:
    # A fork's own checkout could bring records of runs that never happened.
    if search.plan.fork is not None:
        return None
    if baseline.run is None:
        # The metrics of a revision are in its files: only runs made of it have predictions.
        return last_passed_run(search, baseline.identity)
    folder = RunFolder(search.project.runs_folder / checked_run(baseline.run))
    if (folder.path / RUN_FILE).exists():
        return folder
    return None


def _of_folder(folder: RunFolder, step: str) -> PredictionsFile | NoCases:
    planned = by_name(folder.read_plan().steps).get(step)
    if planned is None or planned.predictions is None:
        reason = f"run {folder.run} declares no predictions of step {step}"
        return NoCases(reason=reason, rule="first_run")
    files = tuple(map(str, folder.record_files()))
    return _out_of(folder.read().steps, step, planned.predictions, folder.run, files)


def _of_release(baseline: Baseline, search: Search, step: str) -> PredictionsFile | NoCases:
    """From the evidence, which has all outs, and does not say which of them are predictions."""
    manifest = read_manifest(Git(search.project.root), str(baseline.release))
    if manifest is None:
        return NoCases(reason=f"the evidence of {baseline.source} is not here", rule="missing")
    # Another path then would be a step that was written anew since.
    path = str(search.plan.step(step).predictions)
    return _out_of(manifest.steps, step, path, manifest.run)


def _out_of(
    steps: Iterable[StepRecord | EvidenceStep],
    step: str,
    path: str,
    run: str,
    files: tuple[str, ...] = (),
) -> PredictionsFile | NoCases:
    for made in steps:
        if made.name != step:
            continue
        for ref in made.outs:
            if ref.path == path:
                source = f"{path} of run {run}"
                return PredictionsFile(ref=ref, source=source, files=files)
    return NoCases(reason=f"run {run} has no {path} of step {step}", rule="first_run")


class KeptOuts:
    """The outs of runs: among the project's artifacts, or still where a step wrote them.

    `others` are more places on this machine to take them from.
    """

    def __init__(
        self, project: Project, environ: Mapping[str, str], others: tuple[Objects, ...] = ()
    ) -> None:
        self._project = project
        self._environ = environ
        self._others = others

    @cached_property
    def _artifacts(self) -> Artifacts:
        # The run of another machine left its objects at the shared remote.
        artifacts = shared_cache(self._project, self._environ).artifacts
        return replace(artifacts, others=(*self._others, *artifacts.others))

    def place(self, ref: FileRef) -> Path | None:
        """Where the file lies, whole; None where it is kept neither here nor at a remote."""
        if not self._artifacts.missing_objects(ref.digest):
            return self._artifacts.objects.path(ref.digest)
        # What is not kept, of a step without cache, may still stand where the step wrote it.
        root = self._project.root
        with contextlib.suppress(NbciError):
            place = place_inside(root, ref.path)
            if project_index(self._project).fingerprint(root, ref.path).digest == ref.digest:
                return place
        return None
