"""Rules of a monitor, decoded and checked; each mistake has its line and column.

They are said as gates are. A kind more is a row here, and one in
`monitoring.judge_window.JUDGEMENTS`.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from nbci.errors import UsageError
from nbci.formatting.numbers import listed
from nbci.pipeline.gate_fields import GateFields
from nbci.pipeline.metric_gates import BOUNDS, read_metric_gate
from nbci.pipeline.rules import CASE_METRICS, DeclaredMetric, Gate, WatchedRule, number_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.errors import Location
    from nbci.pipeline.document import Document
    from nbci.pipeline.model import Step
    from nbci.pipeline.rules import Rule

Measure = Literal["psi", "jensen_shannon", "wasserstein"]

DRIFTED = 0.2
"""A column has drifted beyond this PSI, by the rule of thumb of credit scoring."""
DRIFTED_SHARE = 0.3
"""More drifted columns than this share are no accident of single columns."""
_OF_CLASSES = ("precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1")
_UP = ("accuracy", *_OF_CLASSES, "r2")
_DOWN = ("drifted_share", "schema_findings", "domain_auc", "p50_ms", "p95_ms", "p99_ms")
_COMMON = ("name", "severity", "missing", "description")


def _known_metrics() -> dict[str, DeclaredMetric]:
    known = {name: DeclaredMetric(direction=better) for name, better in CASE_METRICS.items()}
    for name in _UP:
        known[name] = DeclaredMetric(direction="up")
    for name in _DOWN:
        known[name] = DeclaredMetric(direction="down")
    # What is estimated without labels is good in the way of what it stands for.
    for name in (*CASE_METRICS, *_UP):
        known[f"estimated_{name}"] = known[name]
    return known


METRICS: Mapping[str, DeclaredMetric] = _known_metrics()
"""Which way is better for what a monitor measures."""


class DriftRule(Struct, frozen=True, kw_only=True):
    """How far columns may be from the reference, by a `measure`.

    `columns` are those that count, None for all. With a `share` so many of them may be further.
    With `significant`, a column is further only where its p-value, corrected for the number of
    columns, is below; without it that holds of few rows only, and where it is False, of none.
    """

    at_most: float = DRIFTED
    columns: tuple[str, ...] | None = None
    share: float | None = None
    measure: Measure = "psi"
    significant: float | Literal[False] | None = None


class SchemaRule(Struct, frozen=True, kw_only=True):
    """That the columns are those of the reference, but for some that may be as they like."""

    exceptions: tuple[str, ...] = ()


class MonitorRule(Struct, frozen=True, kw_only=True):
    """A rule over a window of data: over the drift of columns, their schema, or a metric.

    `metric` is a gate over a metric of the window; the champion that it compares with is the
    release itself. `missing` is the verdict where the window cannot answer.
    """

    name: str = ""
    drift: DriftRule | None = None
    schema: SchemaRule | None = None
    metric: Gate | None = None
    severity: Literal["fail", "warn"] = "fail"
    missing: Rule = "fail"
    description: str | None = None

    @property
    def kind(self) -> str:
        """What is judged: a row of each table of kinds."""
        if self.drift is not None:
            return "drift"
        if self.schema is not None:
            return "schema"
        return "metric"

    @property
    def subject(self) -> str:
        """What is judged, in words."""
        return _WORDS[self.kind][0](self)

    @property
    def asked(self) -> str:
        """The rule in words, such as `at most 0.2`."""
        return _WORDS[self.kind][1](self)


def _subject_of_drift(rule: MonitorRule) -> str:
    assert rule.drift is not None
    if rule.drift.columns is None:
        return f"{rule.drift.measure} of all columns"
    return f"{rule.drift.measure} of {listed(rule.drift.columns, 3)}"


def _asked_of_drift(rule: MonitorRule) -> str:
    assert rule.drift is not None
    asked = f"at most {number_text(rule.drift.at_most)}"
    if rule.drift.share is not None:
        asked += f", but for {number_text(rule.drift.share * 100)}% of them"
    if rule.drift.significant is False:
        asked += ", by chance or not"
    elif rule.drift.significant is not None:
        asked += f", or p at least {number_text(rule.drift.significant)}"
    return asked


def _asked_of_schema(rule: MonitorRule) -> str:
    assert rule.schema is not None
    if rule.schema.exceptions:
        return f"as the release's, but for {listed(rule.schema.exceptions, 3)}"
    return "as the release's"


def _subject_of_metric(rule: MonitorRule) -> str:
    assert rule.metric is not None
    return rule.metric.subject


def _asked_of_metric(rule: MonitorRule) -> str:
    assert rule.metric is not None
    return rule.metric.asked


_WORDS: Mapping[str, tuple[Callable[[MonitorRule], str], Callable[[MonitorRule], str]]] = {
    "drift": (_subject_of_drift, _asked_of_drift),
    "schema": (lambda _: "schema", _asked_of_schema),
    "metric": (_subject_of_metric, _asked_of_metric),
}
"""By kind: what is judged, and what is asked of it."""


def default_rules() -> tuple[MonitorRule, ...]:
    """Those that hold where none are given: other columns are told, drift of many is refused."""
    # A new column alone does no harm to a model that does not read it.
    schema = MonitorRule(schema=SchemaRule(), severity="warn", missing="warn")
    drift = MonitorRule(drift=DriftRule(share=DRIFTED_SHARE))
    return (_with_name(schema), _with_name(drift))


class RuleFields(GateFields):
    """The fields of one rule of a monitor, which stands at `place` in its file."""

    def __init__(
        self,
        document: Document,
        place: Sequence[str | int],
        fields: Mapping[str, Any],
        declared: Mapping[str, DeclaredMetric],
    ) -> None:
        super().__init__(document, int(place[-1]), fields, declared)
        self._place = place

    def error(self, message: str, *path: str, hint: str | None) -> UsageError:
        """The error, at the place that these keys lead to."""
        where = self.document.where(*self._place, *path)
        return UsageError(f"{message}, in rule {self.index + 1}", hint=hint, where=where)

    def common_of_rule(self) -> dict[str, Any]:
        """What a rule of any kind may say."""
        common = self.common()
        # A window has no parameters for `when`, and its baseline is always there.
        return {key: common[key] for key in _COMMON}


def read_rules(
    document: Document, place: Sequence[str | int], given: Sequence[Mapping[str, Any]] | None
) -> tuple[MonitorRule, ...]:
    """The rules that stand at `place` of a file; the default ones where none are `given`.

    UsageError for what makes no sense, and for two of one name.
    """
    if given is None:
        return default_rules()
    # What the file says of a metric of its own is stronger than what is known of that name.
    declared = {**METRICS, **_declared(document)}
    rules: dict[str, MonitorRule] = {}
    for index, fields in enumerate(given):
        asked = RuleFields(document, (*place, index), fields, declared)
        rule = _with_name(_read(asked))
        if rule.name in rules:
            raise asked.error(
                f"there is a rule {rule.name!r} already",
                hint="names tell rules apart: give one of them another `name:`",
            )
        rules[rule.name] = rule
    return tuple(rules.values())


def _declared(document: Document) -> dict[str, DeclaredMetric]:
    declared = {}
    for name, fields in document.data.get("metrics", {}).items():
        # An entry without fields is null, as in `read_metrics`.
        declared[name] = DeclaredMetric(**(fields or {}))
    return declared


def _with_name(rule: MonitorRule) -> MonitorRule:
    if rule.name:
        return rule
    return replace(rule, name=f"{rule.subject} {rule.asked}")


def _read(fields: RuleFields) -> MonitorRule:
    kinds = fields.given(READERS)
    if not kinds:
        raise fields.error(
            "the rule does not say what it is about", hint=f"write one of {', '.join(READERS)}"
        )
    # Of two kinds in one rule, it would be unclear which of them a common key is of.
    fields.refuse(kinds[1:], kinds[0])
    return READERS[kinds[0]](fields)


def _read_drift(fields: RuleFields) -> MonitorRule:
    fields.refuse((*BOUNDS, "baseline", "except"), "drift")
    # `drift:` alone is null, and asks for all defaults.
    given = fields.fields["drift"] or {}
    columns = given.get("columns", "all")
    if columns != "all" and isinstance(columns, str):
        raise fields.error(
            f"columns: {columns!r} is neither `all` nor a list",
            *("drift", "columns"),
            hint=f"write [{columns}]",
        )
    # It would be a level of 100 %, and nobody means that.
    if given.get("significant") is True:
        raise fields.error(
            "significant: true does not say how sure it has to be",
            *("drift", "significant"),
            hint="write 0.05, or leave it out",
        )
    drift = DriftRule(
        at_most=float(given.get("at_most", DRIFTED)),
        columns=None if columns == "all" else tuple(columns),
        share=_share(fields, given.get("share")),
        significant=given.get("significant"),
        measure=intern(given.get("measure", "psi")),  # type: ignore[arg-type] # by the schema
    )
    return MonitorRule(**fields.common_of_rule(), drift=drift)


def _share(fields: RuleFields, value: Any) -> float | None:
    """A share of the columns, from 0 to 1; None where nothing is said."""
    if value is None:
        return None
    share = value
    if isinstance(value, str):
        percent = fields.percent(value)
        share = -1.0 if percent is None else percent / 100
    if not 0 <= share <= 1:
        raise fields.error(
            f"share: {value!r} is no share of the columns",
            *("drift", "share"),
            hint="write 30%, or 0.3",
        )
    return float(share)


def _read_schema(fields: RuleFields) -> MonitorRule:
    fields.refuse((*BOUNDS, "baseline", "severity"), "schema")
    common = fields.common_of_rule()
    # The rule's own word is its severity, so that `severity` beside it could only contradict.
    common["severity"] = intern(fields.fields["schema"])
    exceptions = tuple(fields.fields.get("except", ()))
    return MonitorRule(**common, schema=SchemaRule(exceptions=exceptions))


def _read_metric(fields: RuleFields) -> MonitorRule:
    # The schema takes each of these keys by itself.
    fields.refuse(("except",), "metric")
    gate = read_metric_gate(fields)
    if gate.baseline not in (None, "champion"):
        raise fields.error(
            f"a monitor compares with the release that it looks after, not with {gate.baseline}",
            "baseline",
            hint="write `baseline: champion`",
        )
    return MonitorRule(**fields.common_of_rule(), metric=gate)


READERS: Mapping[str, Callable[[RuleFields], MonitorRule]] = {
    "drift": _read_drift,
    "schema": _read_schema,
    "metric": _read_metric,
}
"""How a rule is read, by the key that tells its kind."""


def watched_rules(
    document: Document, steps: Sequence[Step]
) -> tuple[tuple[Gate, ...], tuple[Location, ...]]:
    """The rules of a pipeline's monitors as gates of its runs, and where they stand.

    The answer of each is the one that its step gave; UsageError for what makes no sense.
    """
    gates: list[Gate] = []
    places: list[Location] = []
    for step in steps:
        # As it was written: in `data` it is a step of a notebook by now.
        fields = document.text.data["steps"][step.node]
        if "monitor" not in fields:
            continue
        place = ("steps", step.node, "monitor", "rules")
        # Read once for each combination of a matrix, whose steps have answers of their own.
        for rule in read_rules(document, place, fields["monitor"].get("rules")):
            gates.append(_watched_gate(step.name, rule))
            places.append(document.where(*place))
    return tuple(gates), tuple(places)


def _watched_gate(step: str, rule: MonitorRule) -> Gate:
    subject = f"{step}: {rule.subject}"
    return Gate(
        name=f"{step}: {rule.name}",
        watched=WatchedRule(rule=rule.name, subject=subject, asked=rule.asked),
        step=step,
        severity=rule.severity,
        description=rule.description,
    )
