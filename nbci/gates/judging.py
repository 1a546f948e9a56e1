"""Give a run that passed its verdict, and remember what the verdict depends on.

`app.unchanged` asks for these dependencies: it may only repeat a verdict while they are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.formatting.durations import now_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.config import Project
    from nbci.gates.baseline import Baseline, NoBaseline
    from nbci.gates.baselines import FoundBaseline, Search
    from nbci.gates.cases import ComparedCases, NoCases
    from nbci.gates.noise import SeedRunner
    from nbci.gates.remeasuring import Remeasurer
    from nbci.plan.model import Plan
    from nbci.records.monitoring import MonitorResult
    from nbci.records.run_record import Remeasured, RunRecord
    from nbci.records.verdict import Override
    from nbci.secrets import Mask
    from nbci.store.objects import Objects


def check_readers(plan: Plan) -> None:
    """UsageError where a gate judges predictions, and what reads them is not installed."""
    judging_cases = [gate.name for gate in plan.gates if gate.judges_cases]
    # A run of a part of the plan is not judged.
    if judging_cases and not plan.leaves_out:
        from nbci.behaviour.predictions_file import check_libraries

        check_libraries(f"gate {judging_cases[0]!r}")


class Judging:
    """Judges runs of one plan.

    `make_mask` is called where the data of predictions may come into a verdict; `others` are places
    where the run's outs may lie beside the project's artifacts.
    """

    def __init__(
        self,
        project: Project,
        plan: Plan,
        environ: Mapping[str, str],
        make_mask: Callable[[Project, Plan, Mapping[str, str]], Mask],
        *,
        others: tuple[Objects, ...] = (),
        remeasure: Remeasurer | None = None,
        seeding: SeedRunner | None = None,
        confirm: Callable[[RunRecord], RunRecord] | None = None,
    ) -> None:
        """`remeasure` carries out the steps that measure models of baselines again.

        `seeding` carries the run and its baselines out with other seeds. `confirm` says what a
        chosen trial gives where no trial has looked; without it, what a record has of that stays.
        """
        self.project = project
        self.plan = plan
        self.environ = environ
        self.make_mask = make_mask
        self.others = others
        self._remeasure = remeasure
        self._seeding = seeding
        self._confirm = confirm
        self.found: tuple[FoundBaseline, ...] = ()
        self._files_of_cases: tuple[str, ...] | None = ()

    def with_verdict(self, record: RunRecord, overrides: tuple[Override, ...] = ()) -> RunRecord:
        """The record with its verdict, its other seeds, and with what was measured again for it.

        It stays without a verdict where there are no gates, and without any of these where steps
        are left out, or where the run did not pass.
        """
        if self.plan.leaves_out or record.result != "passed":
            return record
        if self.plan.seeds is not None:
            from nbci.gates.noise import with_seeds

            record = with_seeds(record, self.plan, self._seeding)
        if record.chosen is not None and self._confirm is not None:
            record = self._confirm(record)
        if self.plan.gates:
            record = self._judged(record, overrides)
        if record.chosen is not None:
            from nbci.gates.choice import with_choice_warnings

            record = with_choice_warnings(record)
        return record

    def _judged(self, record: RunRecord, overrides: tuple[Override, ...]) -> RunRecord:
        # Imported here because most pipelines have no gates, and these bring git and the registry.
        from nbci.gates.baselines import Search, find_baseline
        from nbci.gates.case import Case
        from nbci.gates.judge import judge

        search = Search(project=self.project, plan=self.plan, run=record.run, environ=self.environ)
        # Several gates may name the same baseline, and a champion is asked for at the remote.
        found: dict[str, FoundBaseline] = {}
        for gate in self.plan.gates:
            if gate.baseline is not None and gate.baseline not in found:
                found[gate.baseline] = find_baseline(gate.baseline, search)
        self.found = tuple(found.values())

        baselines = {asked: each.baseline for asked, each in found.items()}
        remeasured = self._remeasured(record, baselines)
        if record.seeds is not None and self._seeding is not None:
            from nbci.gates.noise import with_baseline_seeds

            record = with_baseline_seeds(record, self.plan, baselines, self._seeding)
        compared = self._compare_cases(search, replace(record, remeasured=remeasured), baselines)
        measures: dict[str, tuple[str, ...]] = {}
        for step in self.plan.steps:
            measures[step.name] = tuple(probe.name for probe in step.probes)
        case = Case(
            gates=self.plan.gates,
            record=record,
            declared=self.plan.metrics or {},
            baselines=baselines,
            remeasured=remeasured,
            measures=measures,
            compared=compared,
            monitors=self._monitors(record),
            overrides=overrides,
        )
        return replace(record, verdict=judge(case, now_utc()), remeasured=remeasured)

    def _remeasured(
        self, record: RunRecord, baselines: Mapping[str, Baseline | NoBaseline]
    ) -> tuple[Remeasured, ...]:
        # Most pipelines name no step that measures a model.
        if self._remeasure is None or not self.plan.models:
            return ()
        from nbci.gates.remeasuring import find_wanted

        return tuple(
            self._remeasure(record, wanted) for wanted in find_wanted(self.plan, record, baselines)
        )

    def _compare_cases(
        self,
        search: Search,
        record: RunRecord,
        baselines: Mapping[str, Baseline | NoBaseline],
    ) -> dict[str, ComparedCases | NoCases]:
        """What each gate judges by predictions, by its name."""
        gates = [gate for gate in self.plan.gates if gate.judges_cases]
        if not gates:
            return {}
        # Imported here because only these gates need what reads predictions.
        from nbci.gates.baseline import Baseline
        from nbci.gates.compare_cases import CaseComparisons
        from nbci.gates.predictions import KeptOuts

        outs = KeptOuts(self.project, self.environ, self.others)
        mask = self.make_mask(self.project, self.plan, self.environ)
        comparisons = CaseComparisons(search, record, outs, mask)
        compared = {}
        for gate in gates:
            baseline = baselines[str(gate.baseline)]
            # On a first run there is nothing to compare with.
            if isinstance(baseline, Baseline):
                compared[gate.name] = comparisons.compare(gate, baseline)
        self._files_of_cases = comparisons.files
        return compared

    def _monitors(self, record: RunRecord) -> dict[str, MonitorResult | str]:
        """What the run's monitors found, by their steps."""
        gates = [gate for gate in self.plan.gates if gate.watched is not None]
        if not gates:
            return {}
        # Imported here because few pipelines watch data.
        from nbci.gates.predictions import KeptOuts
        from nbci.gates.watched import read_monitors

        return read_monitors(gates, record, KeptOuts(self.project, self.environ, self.others))

    @property
    def files(self) -> tuple[str, ...] | None:
        """The files that the baselines and their predictions came from.

        None where one of these may change while no file on this machine does.
        """
        if self._files_of_cases is None:
            return None
        files = [*self._files_of_cases]
        for found in self.found:
            if found.files is None:
                return None
            files += found.files
        return tuple(files)

    @property
    def remote_tags(self) -> tuple[str, ...]:
        """Patterns of the remote's tags that the baselines depend on."""
        return tuple(tag for found in self.found for tag in found.remote)
