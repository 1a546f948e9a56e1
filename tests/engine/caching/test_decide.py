"""Whether an earlier result of a step stands: its key, its observations, and what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.digests import file_digest
from nbci.engine.caching.decide import Decision, decide
from nbci.engine.observed.kinds import VERSION
from nbci.engine.steps.inputs import Inputs
from nbci.engine.steps.random_states import RandomStates
from nbci.handoff.values import ValueRef
from nbci.plan.model import PlannedStep
from nbci.records.run_record import FileRef, Part, StepRecord
from nbci.store.cache import Cache
from nbci.store.file_index import FileIndex

if TYPE_CHECKING:
    from pathlib import Path

_STEP = PlannedStep(name="a", notebook="n", kernel="k", language="python", cells=())
_NO_INPUTS = Inputs(values=(), params={})


def _value(name: str, digest: str = "1" * 64) -> ValueRef:
    return ValueRef(name=name, object=digest, bytes=1, type="int", group=(name,))


def _parameter(digest: str) -> Part:
    return Part(kind="parameter", label="lr", digest=digest)


class Workspace:
    """A project with a cache; each decision is made by a process that knows no digest yet."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.cache = Cache(folder / "cache")
        self.indexes = folder / "indexes"
        self._times = 0

    def index(self) -> FileIndex:
        self._times += 1
        return FileIndex(self.indexes / f"{self._times}.json")

    def decide(
        self, step: PlannedStep = _STEP, inputs: Inputs = _NO_INPUTS, **named: Any
    ) -> Decision:
        return decide(self.root, step, inputs, self.cache, self.index(), **named)

    def key(self, step: PlannedStep = _STEP, inputs: Inputs = _NO_INPUTS, **named: Any) -> str:
        return self.decide(step, inputs, **named).key

    def write(self, path: str, text: str) -> str:
        """Write a file of the project; its digest as observations have it."""
        place = self.root / path
        place.write_text(text, encoding="utf-8")
        return self.index().digest(place)[0]

    def keep(self, record: StepRecord, inputs: Inputs = _NO_INPUTS) -> StepRecord:
        """Keep the result of a step with these inputs; the record has the step's key."""
        key = self.key(inputs=inputs)
        kept = replace(record, key=key, observed_version=record.observed_version or VERSION)
        notebook = self.root.parent / "executed.ipynb"
        notebook.write_text("{}", encoding="utf-8")
        self.cache.keep(kept, notebook, self.index())
        return kept

    def keep_value(self, text: str) -> str:
        """Keep a value in the cache; its digest."""
        place = self.root.parent / "value"
        place.write_text(text, encoding="utf-8")
        digest, _ = file_digest(place)
        target = self.cache.value_path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        place.rename(target)
        return digest


def _record(**fields: Any) -> StepRecord:
    named = {
        "name": "a",
        "result": "passed",
        "run": "20260101-000000-aaaaaaa",
        "started_utc": "2026-01-01T00:00:00Z",
        "observed_version": VERSION,
    }
    return StepRecord(**{**named, **fields})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


# ------------------------------------------------------------------------------------------------
# the key


def test_what_stands_in_the_environment_file_counts(workspace: Workspace) -> None:
    step = replace(_STEP, environment="pins.lock")
    absent = workspace.key(step)
    workspace.write("pins.lock", "numpy==2.0\n")
    first = workspace.key(step)
    workspace.write("pins.lock", "numpy==2.1\n")
    assert len({absent, first, workspace.key(step)}) == 3


def test_what_stands_in_a_dependency_counts(workspace: Workspace) -> None:
    step = replace(_STEP, deps=("data.csv",))
    workspace.write("data.csv", "1\n")
    first = workspace.key(step)
    workspace.write("data.csv", "2\n")
    assert workspace.key(step) != first
    workspace.write("data.csv", "1\n")
    assert workspace.key(step) == first


def test_an_out_that_is_not_put_back_yet_counts_as_it_will_be(workspace: Workspace) -> None:
    step = replace(_STEP, deps=("data.csv",))
    workspace.write("data.csv", "1\n")
    present = workspace.decide(step)
    ref = FileRef(path="data.csv", digest=present.parts[-1].digest, bytes=2)
    workspace.write("data.csv", "edited\n")
    assert workspace.key(step, made={"data.csv": ref}) == present.key


def test_each_value_counts_by_its_content(workspace: Workspace) -> None:
    def with_values(*values: ValueRef) -> str:
        return workspace.key(inputs=Inputs(values=values, params={}))

    first, second = _value("x"), _value("y", "2" * 64)
    keys = {with_values(), with_values(first), with_values(second), with_values(first, second)}
    assert len(keys) == 4
    assert with_values(_value("x", "3" * 64)) not in keys


def test_the_order_in_which_values_were_found_does_not_count(workspace: Workspace) -> None:
    first, second = _value("x"), _value("y", "2" * 64)
    one = workspace.key(inputs=Inputs(values=(first, second), params={}))
    assert workspace.key(inputs=Inputs(values=(second, first), params={})) == one


def test_a_name_that_the_step_may_change_counts_beside_its_values(workspace: Workspace) -> None:
    alone = workspace.key()
    along = Inputs(values=(), params={}, along=("x",))
    assert workspace.key(inputs=along) != alone
    # as a value it counts already, by its content
    taken = Inputs(values=(_value("x"),), params={})
    assert workspace.key(inputs=replace(taken, along=("x",))) == workspace.key(inputs=taken)


def test_definitions_that_values_refer_to_count(workspace: Workspace) -> None:
    def with_definition(digest: str) -> str:
        reached = (Part(kind="definition", label="f", digest=digest),)
        return workspace.key(inputs=replace(_NO_INPUTS, reached=reached))

    assert len({workspace.key(), with_definition("1"), with_definition("2")}) == 3


def test_a_parameter_counts_by_the_value_that_it_has_in_this_run(workspace: Workspace) -> None:
    def with_parameter(value: float, planned: str = "") -> Decision:
        step = replace(_STEP, parts=(_parameter(planned),))
        return workspace.decide(step, Inputs(values=(), params={"lr": value}))

    assert with_parameter(0.1).key != with_parameter(0.2).key
    # the plan did not know the metric yet that the parameter is made of
    assert with_parameter(0.1, "as planned").key == with_parameter(0.1).key


def test_a_part_of_the_plan_counts_once(workspace: Workspace) -> None:
    part = Part(kind="definition", label="f", digest="1")
    step = replace(_STEP, parts=(part,))
    decision = workspace.decide(step, replace(_NO_INPUTS, reached=(part,)))
    assert decision.parts == (part,)


def test_the_name_of_the_step_does_not_count(workspace: Workspace) -> None:
    assert workspace.key(replace(_STEP, name="b")) == workspace.key()


# ------------------------------------------------------------------------------------------------
# an earlier result


def test_without_an_earlier_result_the_step_runs(workspace: Workspace) -> None:
    decision = workspace.decide()
    assert decision.record is None
    assert decision.reason == "no earlier result has these inputs"


def test_an_earlier_result_stands_with_its_text(workspace: Workspace) -> None:
    kept = workspace.keep(_record())
    decision = workspace.decide()
    assert decision.record == kept
    assert decision.text == workspace.cache.entry(kept).read_bytes()
    assert decision.reason == "nothing that it depends on has changed"
    assert not decision.drew
    assert decision.gone == ()


def test_a_step_whose_cache_is_disabled_runs(workspace: Workspace) -> None:
    workspace.keep(_record())
    decision = workspace.decide(replace(_STEP, cache=False))
    assert decision.record is None
    assert decision.reason == "its cache is disabled"


def test_the_same_step_of_another_name_takes_the_result_under_its_own(workspace: Workspace) -> None:
    kept = workspace.keep(_record(name="other"))
    decision = workspace.decide()
    assert decision.record == replace(kept, name="a")
    assert b'"other"' in decision.text


def test_a_file_that_was_read_and_changed_is_named(workspace: Workspace) -> None:
    digest = workspace.write("seen.csv", "1\n")
    workspace.keep(_record(observed=(Part(kind="file", label="seen.csv", digest=digest),)))
    assert workspace.decide().record is not None

    workspace.write("seen.csv", "2\n")
    decision = workspace.decide()
    assert decision.record is None
    assert "seen.csv" in decision.reason


def test_an_older_result_stands_where_the_newest_does_not(workspace: Workspace) -> None:
    before = workspace.write("seen.csv", "1\n")
    older = workspace.keep(_record(observed=(Part(kind="file", label="seen.csv", digest=before),)))
    after = workspace.write("seen.csv", "2\n")
    workspace.keep(
        _record(
            run="20260102-000000-bbbbbbb",
            started_utc="2026-01-02T00:00:00Z",
            observed=(Part(kind="file", label="seen.csv", digest=after),),
        )
    )
    workspace.write("seen.csv", "1\n")
    assert workspace.decide().record == older


def test_what_another_nbci_noted_less_of_is_made_again(workspace: Workspace) -> None:
    workspace.keep(_record(observed_version=VERSION - 1))
    decision = workspace.decide()
    assert decision.record is None
    assert "did not note all" in decision.reason


def test_what_another_nbci_noted_of_a_kind_unknown_here_is_made_again(workspace: Workspace) -> None:
    workspace.keep(_record(observed=(Part(kind="of the future", label="x", digest="1"),)))
    decision = workspace.decide()
    assert decision.record is None
    assert "of the future" in decision.reason


def test_a_result_stands_for_the_random_state_that_it_was_drawn_from(workspace: Workspace) -> None:
    state = _value("random state of numpy.random")
    drawn = Part(kind="random", label=state.name, digest=state.object)
    workspace.keep(_record(observed=(drawn,)))

    same = workspace.decide(inputs=replace(_NO_INPUTS, random=RandomStates(refs=(state,))))
    assert same.record is not None
    assert same.drew
    other = _value(state.name, "2" * 64)
    decision = workspace.decide(inputs=replace(_NO_INPUTS, random=RandomStates(refs=(other,))))
    assert decision.record is None
    assert decision.drew
    assert workspace.decide().record is None


def test_a_file_written_beside_the_outs_and_removed_since_is_named(workspace: Workspace) -> None:
    workspace.write("undeclared.txt", "1\n")
    workspace.write("left.txt", "1\n")
    written = [
        Part(kind="written", label=name, digest="there") for name in ("undeclared.txt", "left.txt")
    ]
    workspace.keep(_record(observed=tuple(written)))
    assert workspace.decide().record is not None

    (workspace.root / "undeclared.txt").unlink()
    decision = workspace.decide()
    assert decision.record is None
    assert decision.gone == ("undeclared.txt",)


# ------------------------------------------------------------------------------------------------
# what the result gave


def test_a_value_that_is_kept_stands(workspace: Workspace) -> None:
    digest = workspace.keep_value("1")
    workspace.keep(_record(gives=(_value("x", digest),)))
    assert workspace.decide().record is not None


def test_a_value_that_is_no_longer_kept_is_made_again(workspace: Workspace) -> None:
    workspace.keep(_record(gives=(_value("x"),)))
    decision = workspace.decide()
    assert decision.record is None
    assert decision.reason == "its value x is no longer kept"


def test_a_damaged_value_is_removed_and_made_again(workspace: Workspace) -> None:
    digest = workspace.keep_value("1")
    workspace.keep(_record(gives=(_value("x", digest),)))
    workspace.cache.value_path(digest).write_text("2", encoding="utf-8")

    decision = workspace.decide()
    assert decision.record is None
    assert "x was damaged on disk" in decision.reason
    assert not workspace.cache.value_path(digest).exists()


def test_an_out_stands_in_its_place_or_in_the_cache(workspace: Workspace) -> None:
    workspace.write("out.txt", "1\n")
    ref = workspace.index().fingerprint(workspace.root, "out.txt")
    workspace.keep(_record(outs=(ref,)))
    assert workspace.decide().record is not None

    workspace.write("out.txt", "edited\n")
    decision = workspace.decide()
    assert decision.record is None
    assert decision.reason == "its out out.txt is no longer kept"

    kept = workspace.cache.own.root / ref.digest[:2] / ref.digest[2:]
    kept.parent.mkdir(parents=True)
    kept.write_text("1\n", encoding="utf-8")
    assert workspace.decide().record is not None
