"""Give a run that passed its verdict, and remember what the verdict depends on.

`app.unchanged` asks for these dependencies: it may only repeat a verdict while they are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.formatting.durations import now_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.config import Project
    from nbci.gates.baseline import Baseline, NoBaseline
    from nbci.gates.baselines import FoundBaseline
    from nbci.gates.remeasuring import Remeasurer
    from nbci.plan.model import Plan
    from nbci.records.run_record import Remeasured, RunRecord
    from nbci.records.verdict import Override


class Judging:
    """Judges runs of one plan."""

    def __init__(
        self,
        project: Project,
        plan: Plan,
        environ: Mapping[str, str],
        remeasure: Remeasurer | None = None,
    ) -> None:
        """`remeasure` carries out the steps that measure models of baselines again."""
        self.project = project
        self.plan = plan
        self.environ = environ
        self._remeasure = remeasure
        self.found: tuple[FoundBaseline, ...] = ()

    def with_verdict(self, record: RunRecord, overrides: tuple[Override, ...] = ()) -> RunRecord:
        """The record with its verdict, and with what was measured again for it.

        It stays without one where there are no gates, where steps are left out, or where the run
        did not pass.
        """
        if not self.plan.gates or self.plan.leaves_out or record.result != "passed":
            return record
        return self._judged(record, overrides)

    def _judged(self, record: RunRecord, overrides: tuple[Override, ...]) -> RunRecord:
        # Imported here because most pipelines have no gates, and these bring git and the registry.
        from nbci.gates.baselines import Search, find_baseline
        from nbci.gates.judge import Case, judge

        search = Search(project=self.project, plan=self.plan, run=record.run, environ=self.environ)
        # Several gates may name the same baseline, and a champion is asked for at the remote.
        found: dict[str, FoundBaseline] = {}
        for gate in self.plan.gates:
            if gate.baseline is not None and gate.baseline not in found:
                found[gate.baseline] = find_baseline(gate.baseline, search)
        self.found = tuple(found.values())

        baselines = {asked: each.baseline for asked, each in found.items()}
        remeasured = self._remeasured(record, baselines)
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

    @property
    def files(self) -> tuple[str, ...] | None:
        """The files that the baselines came from.

        None where a baseline may change while no file on this machine does.
        """
        files: list[str] = []
        for found in self.found:
            if found.files is None:
                return None
            files += found.files
        return tuple(files)

    @property
    def remote_tags(self) -> tuple[str, ...]:
        """Patterns of the remote's tags that the baselines depend on."""
        return tuple(tag for found in self.found for tag in found.remote)
