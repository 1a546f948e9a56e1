"""`deploy:` of a pipeline file: places, their options, and rules for new versions."""

from __future__ import annotations

import pytest

from nbci.errors import UsageError
from nbci.pipeline.deploy_document import ImageOptions, KServeOptions, read_deployments
from nbci.pipeline.document import read_document

HEAD = """\
steps:
  fit: {notebook: fit.ipynb}
models:
  digits: {path: digits.onnx}
deploy:
"""


def test_places_are_read_with_their_rules() -> None:
    text = HEAD + (
        "  local: {model: digits, process: {port: 8081, workers: 2}, smoke_for: 2m, smoke: ["
        "{metric: p95_ms, at_most: 20}, {metric: error_share, at_most: 7%, severity: warn}]}\n"
        "  image: {model: digits, agent: docker, container: {image: example.com/digits}}\n"
        "  cluster: {model: digits, kserve: {storage: 's3://b/{version}', canary: 10 %}}\n"
    )
    local, image, cluster = read_deployments(read_document(text, "p.yaml"))

    assert (local.kind, local.smoke_seconds, local.ready_seconds) == ("process", 120.0, 60.0)
    latency, errors = local.smoke
    assert (latency.name, latency.at_most) == ("p95_ms at most 20", 20.0)
    assert (errors.at_most, errors.severity) == (0.07, "warn")
    assert (image.agent, image.smoke_seconds) == ("docker", 0.0)
    assert image.options == ImageOptions(image="example.com/digits")
    assert isinstance(cluster.options, KServeOptions)
    assert cluster.options.canary_percent == 10


def test_no_time_at_all_is_no_duration() -> None:
    text = HEAD + "  a: {model: digits, process: {}, smoke_for: 0m0.0s}\n"
    with pytest.raises(UsageError, match="smoke_for") as error:
        read_document(text, "p.yaml")
    assert error.value.where is not None
    assert error.value.where.line == 6


def test_rules_alone_are_watched_for_half_a_minute() -> None:
    text = HEAD + "  a: {model: digits, process: {}, smoke: [{metric: requests, at_least: 5}]}\n"
    (place,) = read_deployments(read_document(text, "p.yaml"))
    assert place.smoke_seconds == 30.0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a: {model: digit, process: {}}", "'digit', which the file does not declare"),
        ("a: {model: digits}", "to be one of process"),
        ("a: {model: digits, process: {}, compose: {}}", "to be one of process"),
        ("a: {model: digits, process: {prot: 1}}", "unknown key 'prot'"),
        ("A: {model: digits, process: {}}", "no name for this"),
        ("a-: {model: digits, process: {}}", "no name for this"),
        ("a: {model: digits, process: {start: true}}", "`start` is for a unit"),
        ("a: {model: digits, container: {push: true}}", "no name to be pushed to"),
        ("a: {model: digits, kserve: {}}", "one of `storage` and `image`"),
        ("a: {model: digits, kserve: {image: x, canary: 101%}}", "more than everything"),
        ("a: {model: digits, process: {}, smoke: [{metric: p95_ms}]}", "asks nothing"),
        ("a: {model: digits, process: {}, smoke: [{metric: p95_ms, at_most: 1%}]}", "no share"),
        ("a: {model: digits, process: {}, smoke: [{metric: p95_ms, at_most: .nan}]}", "no bound"),
        ("a: {model: digits, process: {}, smoke: [{metric: p9_ms, at_most: 1}]}", "p95_ms"),
        ("a: {model: digits, process: {}, smoke_for: soon}", "no duration"),
        ("{a: {model: digits, process: {}}, b: {model: digits, process: {}}}", "port 8080"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        read_deployments(read_document(f"{HEAD}  {line}\n", "p.yaml"))
    assert raised.value.where is not None
    assert raised.value.where.line == 6
