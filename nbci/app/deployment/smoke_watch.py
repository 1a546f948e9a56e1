"""Watch a release where it has just been put: its health, its sample, its figures for a while."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING

from msgspec import Struct, field

from nbci.app.deployment.sample import questions_of
from nbci.deployment.server_client import Client
from nbci.deployment.smoke import Counts, Probe, figures_of, judge_smoke, read_counts
from nbci.formatting.durations import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.app.deployment.sample import Question
    from nbci.deployment.target import Bundle
    from nbci.pipeline.deploy_document import Deployment
    from nbci.records.verdict import GateResult

_POLL_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
_PROBES_AT_LEAST = 20
_LOST_IN_A_ROW = 3
"""So many looks in a row that find no ready server end the watch: it will not become better."""


class Watched(Struct, frozen=True, kw_only=True):
    """What was seen of a release: why it cannot stay, where it cannot, and the figures.

    `notes` are what could not be looked at.
    """

    refusal: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    rules: tuple[GateResult, ...] = ()
    notes: tuple[str, ...] = ()


class Watch:
    """Looks at one release at one address."""

    def __init__(
        self,
        deployment: Deployment,
        bundle: Bundle,
        address: str,
        environ: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._deployment = deployment
        self._bundle = bundle
        self._client = Client(address, environ)
        self._tell = tell

    def look(self) -> Watched:
        """Its health, its sample, and its figures for as long as the deployment says."""
        if not self._becomes_ready():
            seconds = self._deployment.ready_seconds
            return Watched(refusal=f"it was not ready within {duration(seconds)}")
        notes = []
        try:
            questions = questions_of(self._bundle, self._client)
            # One after another: a release of several files answers each by itself.
            for question in questions:
                wrong = question.ask(self._client)
                if wrong is not None:
                    return Watched(refusal=wrong)
        except OSError as error:
            return Watched(refusal=f"its sample was not answered: {error}")
        if not questions:
            notes.append("it was released without a sample: only its health was looked at")
        if self._deployment.smoke_seconds == 0:
            return Watched(notes=tuple(notes))
        return self._watch(tuple(notes))

    def _becomes_ready(self) -> bool:
        deadline = time.monotonic() + self._deployment.ready_seconds
        while not self._client.is_ready():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _watch(self, notes: tuple[str, ...]) -> Watched:
        """Probe it for a while, and judge the figures."""
        seconds = self._deployment.smoke_seconds
        self._tell(f"watching {self._deployment.name} for {duration(seconds)}")
        try:
            questions = questions_of(self._bundle, self._client, one_row=True)
        except OSError as error:
            return Watched(refusal=f"it does not say any more what it takes: {error}", notes=notes)
        # The counters of the server go on from version to version, and from restart to restart.
        before = self._counts()
        probes: list[Probe] = []
        began = time.monotonic()
        # A short watch has as many looks as a sentence about percentiles needs.
        pause = min(_LONGEST_PAUSE_SECONDS, seconds / _PROBES_AT_LEAST)
        while time.monotonic() - began < seconds:
            probes.append(self._probe(questions, len(probes)))
            lost = probes[-_LOST_IN_A_ROW:]
            if len(lost) == _LOST_IN_A_ROW and not any(probe.ready for probe in lost):
                after = duration(time.monotonic() - began)
                return Watched(refusal=f"it was not ready any more after {after}", notes=notes)
            time.sleep(pause)
        return self._judge(before, probes, notes)

    def _judge(
        self, before: Counts | None, probes: Sequence[Probe], notes: tuple[str, ...]
    ) -> Watched:
        counts = self._counts()
        if counts is not None and before is not None:
            counts = counts.since(before)
        figures = figures_of(counts, probes)
        rules = judge_smoke(self._deployment.smoke, figures)
        # All of them: who mends one limit wants to know of the next.
        refusals = [f"{rule.gate}: {rule.reason}" for rule in rules if rule.refuses]
        return Watched(
            refusal="; ".join(refusals) or None, figures=figures, rules=rules, notes=notes
        )

    def _probe(self, questions: Sequence[Question], number: int) -> Probe:
        if not self._client.is_ready():
            return Probe(ready=False)
        # Without a sample there is nothing to ask but how it is.
        if not questions:
            return Probe(ready=True, milliseconds=0.0)
        began = time.perf_counter()
        try:
            wrong = questions[number % len(questions)].ask(self._client)
        except OSError:
            return Probe(ready=True, failed=True)
        milliseconds = 1000 * (time.perf_counter() - began)
        return Probe(ready=True, milliseconds=milliseconds, failed=wrong is not None)

    def _counts(self) -> Counts | None:
        """What the server counted of this version; None where it does not say."""
        try:
            status, body, _ = self._client.ask("/metrics")
        except OSError:
            return None
        if status != http.client.OK:
            return None
        served = self._bundle.manifest.served
        counts = read_counts(body.decode(errors="replace"), served, self._bundle.version)
        # A server of another kind counts under other names.
        if not counts.by_status and b"nbci_" not in body:
            return None
        return counts
