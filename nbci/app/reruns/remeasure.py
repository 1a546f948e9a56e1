"""Measure a baseline's model again, on the data of a run, by the step that measures models."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.reruns.earlier_run import plan_steps_again
from nbci.app.reruns.rerun import RerunOptions, open_rerun, why_failed
from nbci.engine.caching.decide import decide
from nbci.engine.listener import Aside
from nbci.engine.steps.aliases import Ended
from nbci.engine.steps.inputs import inputs_for
from nbci.errors import NbciError, UsageError
from nbci.gates.model_files import baseline_files, refuse_other_signature
from nbci.git.process import Git
from nbci.records.run_record import Remeasured
from nbci.store.file_index import FileIndex, project_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.gates.baseline import Baseline
    from nbci.gates.remeasuring import Wanted
    from nbci.records.run_record import FileRef, Part, StepRecord
    from nbci.store.cache import Cache


class Remeasuring(Struct, frozen=True, kw_only=True):
    """Carries steps out beside a run, whose folder this process holds.

    `cache` has what the run's steps gave. `tell` is called with what is carried out.
    """

    run: EarlierRun
    cache: Cache
    tell: Callable[[str], None]
    command: tuple[str, ...]

    def measure(self, wanted: Wanted) -> Remeasured:
        """The baseline's model on the data of the run, or why it cannot be measured."""
        baseline, step = wanted.baseline, wanted.step
        try:
            return self._measure(wanted)
        except NbciError as error:
            return Remeasured(
                asked=baseline.asked,
                identity=baseline.identity,
                step=step.name,
                reason=error.message,
            )

    def _measure(self, wanted: Wanted) -> Remeasured:
        baseline, step = wanted.baseline, wanted.step
        # Before anything is brought or run: a step that is given other inputs may fail late.
        for model in wanted.models:
            refuse_other_signature(model, baseline, self.run.project.root)
        # Under the names that the step opens, whatever they were called when they were released.
        placed = baseline_files(baseline, step, wanted.models, self._listing)
        self._bring(baseline, placed)
        kept = self._kept_result(wanted, placed)
        if kept is None:
            kept = self._carry_out(wanted, placed)
        return Remeasured(
            asked=baseline.asked,
            identity=baseline.identity,
            step=step.name,
            run=kept.run,
            files=tuple(placed),
            metrics=kept.full_metrics,
            outs=kept.outs,
            observed=self._observed(kept),
        )

    def _observed(self, kept: StepRecord) -> tuple[Part, ...]:
        """What the step used that it did not use with the run's own files."""
        own = self.run.record.step(kept.name)
        known = own.observed if own is not None else ()
        return tuple(part for part in kept.observed if part not in known)

    def _listing(self, digest: str) -> Mapping[str, str] | None:
        """The files of a folder with their digests; None for a file, or a folder that is gone."""
        if self.cache.artifacts.missing_objects(digest):
            return None
        return self.cache.artifacts.listing(digest)

    def _bring(self, baseline: Baseline, placed: Sequence[FileRef]) -> None:
        """Have the objects of the files here; UsageError where they are nowhere."""
        artifacts = self.cache.artifacts
        gone = [ref for ref in placed if artifacts.missing_objects(ref.digest)]
        if not gone:
            return
        if not baseline.asked.startswith("champion"):
            raise UsageError(f"its {gone[0].path} is no longer kept")
        self._download(baseline, gone)

    def _download(self, baseline: Baseline, gone: Sequence[FileRef]) -> None:
        """Bring files of a release from the remote that its commit names."""
        # Imported here: DVC takes longer to import than a short run, and most files are here.
        from nbci.promotion.fetched import check_files, download

        git = Git(self.run.project.root)
        commit = baseline.identity.rpartition(" ")[2]
        source = git("rev-parse", "--show-toplevel")
        with tempfile.TemporaryDirectory(prefix="nbci-") as name:
            folder = Path(name)
            manifest = download(source, commit, git.prefix, folder)
            check_files(manifest, folder)
            index = FileIndex(folder / ".digests")
            for ref in manifest.files:
                self.cache.artifacts.keep(folder, ref.path, index)
        for ref in gone:
            if self.cache.artifacts.missing_objects(ref.digest):
                raise UsageError(f"its {ref.path} is not among the files of the release")

    def _kept_result(self, wanted: Wanted, placed: Sequence[FileRef]) -> StepRecord | None:
        """An earlier result of the step with these files; None where it must be carried out."""
        run = self.run
        before = run.record.step(wanted.step.name)
        if before is None:
            return None
        # The data is that of the run, whatever stands in the checkout by now.
        stands = {ref.path: ref for ref in (*before.deps, *placed)}
        # A folder of which only some files are the model's has no digest yet.
        if not set(stands) >= set(wanted.step.deps):
            return None
        records = Ended(run.plan, (each for each in run.record.steps if each.ended_well))
        inputs = inputs_for(wanted.step, run.plan, records)
        index = project_index(run.project)
        decision = decide(run.project.root, wanted.step, inputs, self.cache, index, made=stands)
        return decision.record

    def _carry_out(self, wanted: Wanted, placed: Sequence[FileRef]) -> StepRecord:
        name, source = wanted.step.name, wanted.baseline.source
        self.tell(f"measuring {source} again on the data of this run: step {name}")
        plan = plan_steps_again(self.run, (name,), f"it measures {source} again")
        with open_rerun(self.run, plan, placed) as rerun:
            rerun.bring_data(self.cache)
            notebooks = rerun.read_code()
            ready = rerun.make_ready(notebooks, self.cache)
            options = RerunOptions(role="remeasured", command=self.command)
            _, record = rerun.run(ready, options, Aside(self.tell, source))
            ready.save()
        done = record.step(name)
        if done is None or not done.ended_well:
            raise UsageError(f"step {name} fails with its files: {why_failed(record)}")
        # A result that is not kept for others was made here all the same.
        return replace(done, run=done.run or record.run)
