"""What a monitor found: a window of data, judged against a release by rules."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from nbci.records.profile import ColumnDrift, ColumnProfile, SchemaFinding
from nbci.records.verdict import GateResult, VerdictResult

FORMAT = 1


class Window(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The data that were looked at: from which file or log, of which time, how many.

    `requests` and `versions` (rows by the version that answered) are of a log, `labelled` counts
    the rows whose label is known. `digest` is that of the file, or of what the log had in the
    window, so that the same rows can be told.
    """

    source: str
    rows: int
    start_utc: str | None = None
    end_utc: str | None = None
    requests: int | None = None
    versions: Mapping[str, int] | None = None
    labelled: int = 0
    digest: str = ""


class MonitorResult(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A window of data, compared with what a release was made of.

    `gates` are the rules with what came of each. `metrics` are numbers of the window by name
    (`rows`, `accuracy`, `estimated_accuracy`, `drifted_share`, `domain_auc`, …), `reference` those
    that the release has. `columns` and `findings` are in the order of the reference's columns;
    `before` and `now` are the columns' profiles, for those who draw them. `sentence` is the answer
    for people, such as "psi of alcohol is 0.31, more than 0.2".
    """

    id: str
    model: str
    version: str
    result: VerdictResult
    judged_utc: str
    sentence: str
    window: Window
    nbci: str
    format: int = field(default_factory=lambda: FORMAT)
    gates: tuple[GateResult, ...] = ()
    columns: tuple[ColumnDrift, ...] = ()
    findings: tuple[SchemaFinding, ...] = ()
    metrics: Mapping[str, float] | None = None
    reference: Mapping[str, float] | None = None
    before: tuple[ColumnProfile, ...] = ()
    now: tuple[ColumnProfile, ...] = ()
    pipeline: str | None = None
    step: str | None = None
