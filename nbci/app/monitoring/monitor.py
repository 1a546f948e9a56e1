"""Judge a window of data against the release that answers it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

import nbci
from nbci.app.monitoring.measure_window import measure_window
from nbci.app.monitoring.request import check_request, rules_of
from nbci.app.monitoring.window import LATENCIES, open_data, open_log
from nbci.app.serving.released import served_folder
from nbci.errors import Location, UsageError
from nbci.formatting.durations import now_utc
from nbci.formatting.numbers import listed
from nbci.monitoring.judge_window import (
    Observed,
    effects_of,
    is_beyond,
    judge_window,
    measure_of,
    overall,
    sentence_of,
    with_limits,
)
from nbci.pipeline.monitor_rules import DriftRule
from nbci.promotion.fetched import find_release, get_release
from nbci.records.codec import from_json, refuse_other_format
from nbci.records.monitoring import MonitorResult
from nbci.records.profile import FORMAT, ReleaseProfile
from nbci.runs.run_file import new_run_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nbci.app.monitoring.measure_window import MeasuredWindow
    from nbci.app.monitoring.request import MonitorRequest
    from nbci.app.monitoring.window import Rows
    from nbci.pipeline.monitor_rules import MonitorRule
    from nbci.records.profile import ColumnDrift
    from nbci.records.verdict import GateResult
    from nbci.registry.grammar import Reference

_OF_TWO_CLASSES = ("precision", "recall", "f1")
_OF_CLASSES = ("accuracy", *_OF_TWO_CLASSES, "macro_precision", "macro_recall", "macro_f1")
_ANSWER_METRICS = (*_OF_CLASSES, "mean_absolute_error", "mean_squared_error")


class ReferenceRelease(Struct, frozen=True, kw_only=True):
    """A release whose files are what was promoted; `metrics` by full name."""

    model: str
    version: str
    commit: str
    profile: ReleaseProfile
    metrics: Mapping[str, float] = field(default_factory=dict)


class Monitored(Struct, frozen=True, kw_only=True):
    """What a monitor found; `notes` are for people, `by_default`: nobody gave rules."""

    result: MonitorResult
    notes: tuple[str, ...]
    by_default: bool


def monitor(request: MonitorRequest) -> Monitored:
    """Bring the release, measure the window, and judge it.

    UsageError where nothing says what to look at, or the release has no profile; IntegrityError
    where the release is not what was promoted.
    """
    # A mistake in the rules is told before anything is brought.
    rules = rules_of(request.rules, request.rules_file)
    release = bring_reference(
        request.reference, url=request.url, folder=request.folder, environ=os.environ
    )
    return judge_rows(request, release, rules, time.time())


def judge_rows(
    request: MonitorRequest,
    release: ReferenceRelease,
    given: tuple[tuple[MonitorRule, ...], bool],
    now: float,
) -> Monitored:
    """The window that is asked for, judged by the rules at the time `now` (s since 1970)."""
    check_request(request)
    rules, by_default = given
    rows = _open(request, release, now)
    measured = measure_window(rows, release.profile, measure_of(rules))
    observed = _observe(release, rows, measured, rules, now)
    gates = judge_window(rules, observed)
    rows.notes += _notes_of_class(gates, release.profile)
    result = MonitorResult(
        id=new_run_id(time.time()),
        model=release.model,
        version=release.version,
        result=overall(gates),
        judged_utc=now_utc(),
        sentence=sentence_of(gates, observed),
        window=replace(rows.facts, rows=measured.profile.rows, labelled=measured.labelled),
        nbci=nbci.__version__,
        gates=gates,
        columns=observed.drifts,
        findings=observed.findings,
        metrics=observed.metrics,
        reference=observed.reference,
        before=measured.before,
        now=measured.now,
        pipeline=request.pipeline,
        step=request.step,
    )
    return Monitored(result=result, notes=tuple(rows.notes), by_default=by_default)


def _notes_of_class(gates: Sequence[GateResult], profile: ReleaseProfile) -> list[str]:
    """Of which class a metric is that a rule asks for, where its name does not tell."""
    names = []
    for gate in gates:
        metric = (gate.metric or "").removeprefix("estimated_")
        if metric in _OF_TWO_CLASSES and gate.found is not None:
            names.append(metric)
    if not names or profile.calibration is None:
        return []
    metrics = listed(list(dict.fromkeys(names)), 3)
    return [f"{metrics}: of the class {profile.calibration.classes[1]}"]


def bring_reference(
    reference: Reference, *, url: str | None, folder: Path, environ: Mapping[str, str]
) -> ReferenceRelease:
    """The release that is meant; `url` is its git repository, by default that of `folder`.

    UsageError where it has no profile, IntegrityError where its files are not what was promoted.
    """
    # The stage may move while it is read: from here on it is this commit.
    found = find_release(reference, url=url, folder=folder)
    # Where a server has its releases, too: what one of them has brought, the other need not.
    target = served_folder(found.commit, environ)
    manifest = get_release(found, target)
    # Releases of an nbci before profiles have none.
    if manifest.profile is None:
        raise UsageError(
            f"{found.model} {manifest.version} has no profile of its data to compare with",
            hint=f"name its training data, `models: {{{found.model}: {{profile: [PATH]}}}}`, "
            "and promote it again",
        )
    place = target / manifest.profile.path
    # `get_release` has compared its digest with the one in the evidence.
    content = place.read_bytes()
    refuse_other_format(content, FORMAT, "the release's profile", place)
    profile = from_json(content, ReleaseProfile, str(place))
    if not profile.columns:
        raise UsageError(
            f"the profile of {found.model} {manifest.version} has no columns",
            where=Location(str(place)),
        )
    return ReferenceRelease(
        model=found.model,
        version=manifest.version,
        commit=found.commit,
        profile=profile,
        metrics=manifest.metrics or {},
    )


def _open(request: MonitorRequest, release: ReferenceRelease, now: float) -> Rows:
    if request.data is not None:
        return open_data(request.data, release.profile, request.labels)
    assert request.log is not None
    return open_log(
        request.log,
        release.model,
        release.profile,
        newest=request.window_seconds,
        labels=request.labels,
        now=now,
    )


def _observe(
    release: ReferenceRelease,
    rows: Rows,
    measured: MeasuredWindow,
    rules: Sequence[MonitorRule],
    now: float,
) -> Observed:
    metrics = {"rows": float(measured.profile.rows)}
    if rows.facts.requests is not None:
        metrics["requests"] = float(rows.facts.requests)
    if rows.last is not None:
        metrics["age_hours"] = max(0.0, now - rows.last) / 3600
    metrics |= rows.metrics
    metrics["labelled"] = float(measured.labelled)
    metrics["schema_findings"] = float(len(measured.findings))
    metrics |= _drift_metrics(measured.drifts, rules)
    if measured.domain_auc is not None:
        metrics["domain_auc"] = measured.domain_auc
    metrics |= measured.performance
    return Observed(
        release=f"{release.model}@{release.version}",
        rows=measured.profile.rows,
        drifts=with_limits(rules, measured.drifts),
        findings=measured.findings,
        metrics=metrics,
        reference=release.metrics,
        unknown=_unknown(rows, measured, release.profile),
    )


def _drift_metrics(drifts: Sequence[ColumnDrift], rules: Sequence[MonitorRule]) -> dict[str, float]:
    """The share of columns beyond the limit of the first rule over drift, and the worst."""
    rule = next((rule.drift for rule in rules if rule.drift is not None), DriftRule())
    effects = effects_of(rule, drifts)
    if not effects:
        return {}
    beyond = [drift for drift in drifts if is_beyond(rule, drift)]
    return {"drifted_share": len(beyond) / len(effects), "worst_drift": max(effects.values())}


def _unknown(rows: Rows, measured: MeasuredWindow, profile: ReleaseProfile) -> dict[str, str]:
    """Why the window cannot give metrics that people ask for."""
    unknown = {}
    for name in LATENCIES:
        unknown[name] = rows.unknown.get("latency", "data do not say how long answers took")
    labels = rows.unknown.get("labels", "no row of the window has a label")
    if measured.labelled:
        labels = "the answers and the labels are of another kind"
    scores = "the answers have no scores that are shares of one"
    if profile.calibration is None:
        scores = "the release was evaluated without scores: nothing tells how likely answers are"
    for name in _ANSWER_METRICS:
        unknown[name] = labels
        unknown[f"estimated_{name}"] = scores
    several = "the evaluation had not two classes"
    for name in _OF_TWO_CLASSES:
        if "accuracy" in measured.performance:
            unknown[name] = f"{several}: macro_{name} is the mean over all"
        if "estimated_accuracy" in measured.performance:
            unknown[f"estimated_{name}"] = f"{several}, of which alone it can be estimated"
    if "estimated_accuracy" in measured.performance:
        for name in ("macro_recall", "macro_f1"):
            unknown[f"estimated_{name}"] = f"{several}, of which alone it can be estimated"
    for name in ("drifted_share", "worst_drift"):
        unknown[name] = "no column of the window can be compared"
    unknown["domain_auc"] = "it is of images, of which both sides need 20"
    return unknown
