"""A run that has passed is judged by its gates; what the verdict depends on is kept, to know when
it still stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.runs.folder import now_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.config import Project
    from nbci.gates.baselines import Found
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import Override, Verdict


class Judging:
    """Judges runs of one plan."""

    def __init__(self, project: Project, plan: Plan, environ: Mapping[str, str]) -> None:
        self.project = project
        self.plan = plan
        self.environ = environ
        self.found: tuple[Found, ...] = ()

    def judged(self, record: RunRecord, overrides: tuple[Override, ...] = ()) -> RunRecord:
        """The record with its verdict; without one where there are no gates, steps left out, or no
        run that passed.
        """
        if not self.plan.gates or self.plan.leaves_out or record.result != "passed":
            return record
        return replace(record, verdict=self._verdict(record, overrides))

    def _verdict(self, record: RunRecord, overrides: tuple[Override, ...]) -> Verdict:
        from nbci.gates.baselines import Search, find_baseline
        from nbci.gates.judge import Case, judge

        search = Search(project=self.project, plan=self.plan, run=record.run, environ=self.environ)
        asked = dict.fromkeys(
            gate.baseline for gate in self.plan.gates if gate.baseline is not None
        )
        self.found = tuple(find_baseline(name, search) for name in asked)
        case = Case(
            gates=self.plan.gates,
            record=record,
            declared=self.plan.metrics or {},
            baselines={found.baseline.asked: found.baseline for found in self.found},
            measures={
                step.name: tuple(probe.name for probe in step.probes) for step in self.plan.steps
            },
            overrides=overrides,
        )
        return judge(case, now_utc())

    @property
    def files(self) -> tuple[str, ...] | None:
        """The files that the baselines came from; None where one may change without any file here
        changing.
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
