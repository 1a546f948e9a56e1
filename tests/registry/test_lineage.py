"""The graph of causes and effects."""

from __future__ import annotations

from nbci.handoff.values import ValueRef
from nbci.records.manifest import EvidenceStep
from nbci.records.run_record import FileRef
from nbci.registry.lineage import lineage_of


def file(path: str) -> FileRef:
    return FileRef(path=path, digest="d" * 32, bytes=1)


def value(name: str, digest: str) -> ValueRef:
    return ValueRef(name=name, object=digest, bytes=1, type="int", group=(name,))


STEPS = (
    EvidenceStep(
        name="load",
        notebook="n.ipynb",
        result="passed",
        deps=(file("raw.csv"),),
        gives=(value("x", "1"),),
    ),
    EvidenceStep(
        name="clean",
        notebook="n.ipynb",
        result="passed",
        takes=(value("x", "1"),),
        gives=(value("x", "2"),),
        outs=(file("clean"),),
    ),
    EvidenceStep(
        name="train",
        notebook="n.ipynb",
        result="passed",
        takes=(value("x", "2"),),
        params={"C": 1},
        deps=(file("clean/part.csv"),),
        outs=(file("models"),),
    ),
    EvidenceStep(
        name="aside",
        notebook="o.ipynb",
        result="passed",
        takes=(value("x", "1"),),
        outs=(file("plot.png"),),
    ),
)


def test_a_value_comes_from_the_step_that_gave_it_as_it_was_taken() -> None:
    found = lineage_of(STEPS, {"digits": ["models/svm.onnx"]})
    passed = {(edge.source, edge.target): edge.values for edge in found.edges if edge.values}
    assert passed == {
        ("step:load", "step:clean"): ("x",),
        ("step:clean", "step:train"): ("x",),
        ("step:load", "step:aside"): ("x",),
    }
    joined = {(edge.source, edge.target) for edge in found.edges}
    assert {("file:clean", "file:clean/part.csv"), ("file:models", "model:digits")} <= joined


def test_around_a_thing_are_its_causes_and_effects_alone() -> None:
    found = lineage_of(STEPS, {"digits": ["models/svm.onnx"]})
    assert set(found.around(["file:clean"]).nodes) == {
        "file:clean",
        "step:clean",
        "step:load",
        "code:n.ipynb",
        "file:raw.csv",
        "file:clean/part.csv",
        "step:train",
        "file:models",
        "model:digits",
    }
    assert "step:aside" not in found.around(["model:digits"]).nodes
    assert {"step:aside", "model:digits", "file:plot.png"} <= set(
        found.around(["file:raw.csv"]).nodes
    )


def test_steps_of_a_matrix_and_their_outs_are_of_one_family() -> None:
    steps = [
        EvidenceStep(
            name=name,
            notebook="n.ipynb",
            result="passed",
            params={"C": name},
            gives=(value(given, name),),
            outs=(file(f"{name}.bin"),),
        )
        for name, given in (("fit/1", "x"), ("fit/2", "x"), ("fit/other", "y"), ("else/1", "x"))
    ]
    nodes = lineage_of(steps, {}).nodes
    for kind in ("step:{}", "file:{}.bin"):
        one, two, other, elsewhere = (
            nodes[kind.format(name)].family for name in ("fit/1", "fit/2", "fit/other", "else/1")
        )
        assert one == two
        assert len({one, other, elsewhere}) == 3
    assert nodes["parameter:C = 'fit/1'"].family == "C"
