from __future__ import annotations

import pytest

from nbci.errors import UsageError
from nbci.pipeline.document import read_document

DIGITS = """\
# pipelines/digits.yaml
pipeline: digits
params: {C: 1.0, seed: {default: 7, help: "random seed"}}
steps:
  ingest:
    notebook: notebooks/ingest.ipynb
    deps: [data/raw.dvc]
    outs: [data/train.parquet, data/test.parquet]
  train:
    notebook: notebooks/train.ipynb
    after: [ingest]
    params: {C: "${C}", seed: "${seed}"}
    matrix: {model: [svm, forest]}
    outs: ["models/${matrix.model}.onnx"]
    agent: gpu
    timeout: 2h
    cell_timeout: 20m
    cache: enabled
    report: disabled
    retries: 1
    env: {OMP_NUM_THREADS: "2"}
    environment: requirements.lock
    container: image:tag
    secrets: [WAREHOUSE_TOKEN]
    when: "model != 'none'"
    cwd: notebook
    description: for people
  evaluate:
    notebook: notebooks/evaluate.ipynb
    after: [train]
    metrics: [metrics.json]
metrics: {accuracy: {direction: up, unit: ratio}}
gates:
  - {metric: accuracy, at_least: 0.95}
  - {metric: accuracy, baseline: champion, max_drop: 0.01, first_run: pass}
  - {metric: latency_ms, at_most: 20, severity: warn}
models:
  digits: {path: models/svm.onnx, stage: production, branches: [main]}
triggers: {cron: "H 3 * * *"}
order: declared
keep_going: false
shell_errors: fail
run_timeout: 1h30m
"""


def test_the_example_of_the_design_is_a_pipeline() -> None:
    document = read_document(DIGITS, "pipelines/digits.yaml")
    assert document.name == "digits"
    assert list(document.data["steps"]) == ["ingest", "train", "evaluate"]
    assert (
        str(document.where("steps", "train", "after", 0))
        == "pipelines/digits.yaml, line 11, column 13"
    )


def test_the_file_names_a_pipeline_that_has_no_name() -> None:
    assert read_document("steps: {a: {notebook: a.ipynb}}", "pipelines/wine.yaml").name == "wine"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    after: [ingest]",
            "    afer: [ingest]",
            "line 11, column 5: unknown key 'afer' in step train (did you mean 'after'?)",
        ),
        (
            "after: [ingest]",
            "after: ingest",
            'line 11, column 12: after: expected a list, found text ("ingest") in step train',
        ),
        (
            "timeout: 2h",
            "timeout: 2x",
            (
                "line 16, column 14: timeout: '2x' is no duration: write 90s, 30m, 2h or "
                "1h30m in step train"
            ),
        ),
        (
            "cache: enabled",
            "cache: enabld",
            (
                'cache: expected enabled or disabled, found "enabld" in step train (did '
                "you mean 'enabled'?)"
            ),
        ),
        (
            "retries: 1",
            "retries: many",
            'retries: expected a whole number, found text ("many") in step train',
        ),
        ("retries: 1", "retries: -1", "-1 is less than the minimum of 0 in step train"),
        (
            "retries: 1",
            "retries: 1\n    retries: 2",
            "line 21, column 5: the key 'retries' stands twice",
        ),
        ("  evaluate:", "  Evaluate:", "'Evaluate' is no name for this: use lower-case letters"),
        (
            "params: {C: 1.0",
            "params: {1C: 1.0",
            "'1C' is no name for this: use letters, digits and _",
        ),
        (
            "    notebook: notebooks/evaluate.ipynb\n",
            "",
            "line 29, column 5: 'notebook' is missing in step evaluate",
        ),
        ("path: models/svm.onnx, ", "", "'path' is missing in model digits"),
        ("order: declared", "1: declared", "line 40, column 1: the key 1 is not text"),
        (
            "at_least: 0.95",
            "at_lest: 0.95",
            "unknown key 'at_lest' in gate 1 (did you mean 'at_least'?)",
        ),
        ("metric: latency_ms, ", "", "'metric' is missing in gate 3"),
        (
            "keep_going: false",
            "keep_going: no",
            'keep_going: expected true or false, found text ("no")',
        ),
        ("{default: 7, help", "{defalt: 7, help", "'default' is missing in parameter seed"),
        ("model: [svm, forest]", "model: []", "expected at least 1 entry, found an empty list"),
        (
            "pipeline: digits",
            "pipelin: digits",
            "line 2, column 1: unknown key 'pipelin' (did you mean 'pipeline'?)",
        ),
    ],
)
def test_mistakes_are_explained_at_their_line_and_column(old: str, new: str, message: str) -> None:
    assert old in DIGITS
    with pytest.raises(UsageError) as caught:
        read_document(DIGITS.replace(old, new, 1), "pipelines/digits.yaml")
    assert str(caught.value).startswith("pipelines/digits.yaml, line ")
    assert message in str(caught.value)


def test_several_mistakes_are_listed_in_order() -> None:
    text = DIGITS.replace("order: declared", "order: up").replace("retries: 1", "retires: 1")
    with pytest.raises(UsageError) as caught:
        read_document(text, "p.yaml")
    assert "line 20" in str(caught.value)
    assert caught.value.hint == 'also line 40: order: expected declared or dataflow, found "up"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this pipeline file is empty"),
        ("# nothing\n", "this pipeline file is empty"),
        ("- steps", "a pipeline file is a mapping"),
        ("pipeline: x", "'steps' is missing"),
        ("steps: {}", "expected at least 1 entry, found an empty mapping"),
        ("steps:", "steps: expected a mapping, found nothing"),
    ],
)
def test_what_is_no_pipeline_file_says_what_is_missing(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_document(text, "p.yaml")
    assert message in str(caught.value)
