"""The figures of a version that has just been deployed, and what the rules make of them.

Pure: what a server counted, and how it answered probes, come in as values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.formatting.numbers import rough
from nbci.gates.bounds import bounds_of, is_missed, margin, room_in_words
from nbci.gates.case import with_answer
from nbci.records.verdict import GateResult

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nbci.pipeline.rules import Gate

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\} ([0-9.eE+-]+|NaN|\+Inf)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_REQUESTS = "nbci_requests_total"
_BUCKETS = "nbci_request_seconds_bucket"
_SERVER_ERROR = 500
_PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


class Counts(Struct, frozen=True, kw_only=True):
    """What a server counted of a version: requests by status, and by the seconds that they took.

    `buckets` are cumulative, by their upper bound in seconds, as Prometheus has them.
    """

    by_status: Mapping[int, float]
    buckets: Mapping[float, float]

    def since(self, before: Counts) -> Counts:
        """What was counted since then; a server that began anew counts from zero."""
        if sum(self.by_status.values()) < sum(before.by_status.values()):
            return self
        statuses, buckets = {}, {}
        for status, count in self.by_status.items():
            statuses[status] = count - before.by_status.get(status, 0.0)
        for bound, count in self.buckets.items():
            buckets[bound] = count - before.buckets.get(bound, 0.0)
        return Counts(by_status=statuses, buckets=buckets)


class Probe(Struct, frozen=True, kw_only=True):
    """A look at the server: whether it said that it is ready, and how it answered a request.

    `milliseconds` are None where no answer came, `failed` says that it was none that it should be.
    """

    ready: bool
    milliseconds: float | None = None
    failed: bool = False


def read_counts(text: str, models: Collection[str], version: str) -> Counts:
    """The counts of a version in the text of `/metrics`; those of several files are added."""
    statuses: dict[int, float] = {}
    buckets: dict[float, float] = {}
    # Lines that are read by a pattern: the text has no more structure than that.
    for name, labels, value in _LINE.findall(text):
        if name not in (_REQUESTS, _BUCKETS):
            continue
        found = dict(_LABEL.findall(labels))
        if found.get("model") not in models or found.get("version") != version:
            continue
        # A server that wrote another word for a status would be no reason to fail here.
        if name == _REQUESTS and found.get("status", "").isdecimal():
            status = int(found["status"])
            statuses[status] = statuses.get(status, 0.0) + float(value)
        elif name == _BUCKETS:
            bound = float(found.get("le", "inf"))
            buckets[bound] = buckets.get(bound, 0.0) + float(value)
    return Counts(by_status=statuses, buckets=buckets)


def figures_of(counts: Counts | None, probes: Sequence[Probe]) -> dict[str, float]:
    """The figures that rules are about; those of which nothing is known are left out.

    They are of all requests where the server counts them, which the probes are among; else of the
    probes alone.
    """
    figures: dict[str, float] = {}
    if probes:
        figures["not_ready_share"] = sum(1 for probe in probes if not probe.ready) / len(probes)
    # What never reached the server is in no count of it.
    lost = sum(1 for probe in probes if probe.milliseconds is None)
    if counts is not None:
        asked = sum(counts.by_status.values()) + lost
        errors = float(lost)
        for status, count in counts.by_status.items():
            # What a client did wrong is no fault of the version.
            if status >= _SERVER_ERROR:
                errors += count
        figures |= _percentiles_of_buckets(counts.buckets)
    else:
        asked = float(len(probes))
        errors = float(sum(1 for probe in probes if probe.failed or probe.milliseconds is None))
        figures |= _percentiles_of_probes(probes)
    figures["requests"] = asked
    if asked:
        figures["error_share"] = errors / asked
    return figures


def _percentiles_of_buckets(buckets: Mapping[float, float]) -> dict[str, float]:
    """As Prometheus' `histogram_quantile` does: straight lines between the bounds."""
    ordered = sorted(buckets.items())
    total = ordered[-1][1] if ordered else 0.0
    if total <= 0:
        return {}
    return {name: 1000 * _quantile(ordered, share * total) for name, share in _PERCENTILES.items()}


def _quantile(ordered: Sequence[tuple[float, float]], rank: float) -> float:
    low, below = 0.0, 0.0
    for bound, count in ordered:
        if count >= rank:
            # Above the last finite bound nothing is known but that it is more.
            if bound == float("inf"):
                return low
            inside = count - below
            return low + (bound - low) * ((rank - below) / inside if inside else 1.0)
        low, below = bound, count
    return low


def _percentiles_of_probes(probes: Sequence[Probe]) -> dict[str, float]:
    taken = sorted(probe.milliseconds for probe in probes if probe.milliseconds is not None)
    if not taken:
        return {}
    found = {}
    for name, share in _PERCENTILES.items():
        # The nearest rank: of few probes the high percentiles are the slowest one.
        found[name] = taken[max(0, -int(-share * len(taken) // 1) - 1)]
    return found


def judge_smoke(rules: Sequence[Gate], figures: Mapping[str, float]) -> tuple[GateResult, ...]:
    """What each rule says of the figures; one that is missing fails its rule."""
    return tuple(_judge(rule, figures) for rule in rules)


def _judge(rule: Gate, figures: Mapping[str, float]) -> GateResult:
    metric = str(rule.metric)
    result = GateResult(
        gate=rule.name, asked=rule.asked, result="passed", reason="", severity=rule.severity
    )
    found = figures.get(metric)
    if found is None:
        return with_answer(result, rule, "fail", "nothing is known of it: nothing was answered")
    room = margin(found, bounds_of(rule, None))
    result = replace(result, metric=metric, found=found, margin=room)
    if is_missed(room):
        return with_answer(result, rule, "fail", f"it is {rough(found)}: {room_in_words(room)}")
    return with_answer(result, rule, "pass", room_in_words(room))
