"""The file of a monitor that Prometheus reads, read by the library of Prometheus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from nbci.report.prometheus import monitor_prometheus
from tests.report import monitor_samples as samples

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

    from nbci.records.monitoring import MonitorResult


def read(result: MonitorResult) -> list[Sample]:
    text = monitor_prometheus(result)
    text.encode()
    found = []
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        found += family.samples
    keys = [(sample.name, *sorted(sample.labels.items())) for sample in found]
    assert len(keys) == len(set(keys))
    return found


def value(found: list[Sample], name: str, **labels: str) -> float:
    wanted = {"model": "wine", "version": "v1.2.0", **labels}
    (sample,) = (each for each in found if each.name == name and each.labels == wanted)
    return sample.value


def test_values_have_the_model_its_version_and_the_column() -> None:
    found = read(samples.ordinary())
    assert value(found, "nbci_monitor_refused") == 1
    assert value(found, "nbci_monitor_timestamp_seconds") == 1_767_323_045
    assert value(found, "nbci_monitor_window_rows") == 2400
    assert value(found, "nbci_monitor_window_answered_rows", answered_by="v1.1.0") == 300
    assert value(found, "nbci_monitor_column_effect", column="alcohol", measure="psi") == 0.314
    assert value(found, "nbci_monitor_column_drifted", column="alcohol") == 1
    assert value(found, "nbci_monitor_column_drifted", column="hue") == 0
    assert value(found, "nbci_monitor_metric", metric="accuracy") == 0.91
    assert value(found, "nbci_monitor_reference_metric", metric="evaluate:accuracy") == 0.972
    assert value(found, "nbci_monitor_rule_refused", rule="drift of alcohol at most 0.2") == 1


def test_what_is_not_known_is_not_written() -> None:
    names = {sample.name for sample in read(samples.empty())}
    assert "nbci_monitor_column_effect" not in names
    assert "nbci_monitor_window_end_timestamp_seconds" not in names
    assert "nbci_monitor_timestamp_seconds" in names


def test_hostile_names_are_escaped_and_no_labels_stand_twice() -> None:
    result = samples.hostile()
    found = read(result)
    effects = {
        sample.labels["column"]: sample.value
        for sample in found
        if sample.name == "nbci_monitor_column_effect"
    }
    assert effects[samples.SCRIPT] == 0
    assert effects[samples.HANDLER] == 0.1
    assert effects['a b\nc\t\\d"e'] == 0.4
    # Two columns whose names differ in what cannot be shown: the worse one stands.
    assert effects["a\ufffd"] == 1.0
    assert effects["odd 1"] == math.inf
    assert math.isnan(effects["odd 0"])
