"""The figures of a version that has just been deployed, and what rules make of them."""

from __future__ import annotations

from nbci.deployment.smoke import Probe, figures_of, judge_smoke, read_counts
from nbci.pipeline.rules import Gate

BEFORE = """\
# TYPE nbci_requests counter
nbci_requests_total{model="m",status="200",version="v2"} 100.0
nbci_requests_total{model="m",status="200",version="v1"} 7000.0
nbci_requests_total{model="other",status="500",version="v2"} 9.0
nbci_request_seconds_bucket{le="0.01",model="m",version="v2"} 100.0
nbci_request_seconds_bucket{le="0.02",model="m",version="v2"} 100.0
nbci_request_seconds_bucket{le="+Inf",model="m",version="v2"} 100.0
"""
AFTER = """\
nbci_requests_total{model="m",status="200",version="v2"} 190.0
nbci_requests_total{model="m",status="400",version="v2"} 6.0
nbci_requests_total{model="m",status="503",version="v2"} 4.0
nbci_request_seconds_bucket{le="0.01",model="m",version="v2"} 150.0
nbci_request_seconds_bucket{le="0.02",model="m",version="v2"} 198.0
nbci_request_seconds_bucket{le="+Inf",model="m",version="v2"} 200.0
"""


def test_what_a_server_counted_meanwhile_is_judged() -> None:
    before, after = read_counts(BEFORE, ["m"], "v2"), read_counts(AFTER, ["m"], "v2")
    figures = figures_of(after.since(before), [Probe(ready=True, milliseconds=1.0)])
    # A client's mistakes are no errors of the version.
    assert (figures["requests"], figures["error_share"]) == (100.0, 0.04)
    # Half of them took up to 10 ms, and 98 of 100 up to 20 ms.
    assert figures["p50_ms"] == 10.0
    assert 19.0 < figures["p95_ms"] < 20.0
    # Beyond the last bound nothing is known but that it was more.
    assert figures["p99_ms"] == 20.0


def test_a_server_that_began_anew_counts_from_zero() -> None:
    before, after = read_counts(AFTER, ["m"], "v2"), read_counts(BEFORE, ["m"], "v2")
    assert after.since(before).by_status == {200: 100.0}


def test_probes_are_judged_where_nothing_is_counted() -> None:
    probes = [Probe(ready=True, milliseconds=float(ms)) for ms in range(1, 10)]
    probes.append(Probe(ready=False))
    figures = figures_of(None, probes)
    assert figures == {
        "not_ready_share": 0.1,
        "requests": 10.0,
        "error_share": 0.1,
        "p50_ms": 5.0,
        "p95_ms": 9.0,
        "p99_ms": 9.0,
    }


def test_rules_refuse_what_misses_them_and_what_is_not_known() -> None:
    rules = [
        Gate(name="quick", metric="p95_ms", at_most=20.0),
        Gate(name="sound", metric="error_share", at_most=0.01),
        Gate(name="warned", metric="error_share", at_most=0.01, severity="warn"),
        Gate(name="asked", metric="requests", at_least=10.0),
    ]
    results = judge_smoke(rules, {"error_share": 0.04, "requests": 10.0})
    assert [each.result for each in results] == ["failed", "failed", "warned", "passed"]
    assert "nothing is known" in results[0].reason
    assert results[1].reason == "it is 0.04: misses by 0.03"


def test_a_figure_that_is_no_number_passes_nothing() -> None:
    rule = Gate(name="quick", metric="p95_ms", at_most=20.0)
    (result,) = judge_smoke([rule], {"p95_ms": float("nan")})
    assert result.result == "failed"


def test_nothing_is_said_of_what_nobody_asked() -> None:
    assert figures_of(read_counts("", ["m"], "v2"), []) == {"requests": 0.0}
