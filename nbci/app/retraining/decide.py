"""Decide whether a model is trained again now, and write the decision down before anything runs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nbci.app.retraining.model_in_use import (
    expected_cost,
    find_model_in_use,
    known_decisions,
    parameters_of,
    who_decides,
)
from nbci.app.retraining.note_events import (
    TRIES,
    new_event,
    note_event,
    page_of_build,
    settle,
)
from nbci.errors import Location, UsageError
from nbci.git.branches import allows, built_branch
from nbci.records.codec import from_json, refuse_other_format
from nbci.records.decision import Decision
from nbci.records.monitoring import FORMAT, MonitorResult
from nbci.registry.champion import registry_name
from nbci.registry.decisions import LostTurn, add_decision
from nbci.retraining.limits import Answer, Wish, answer_wish, limits_of
from nbci.retraining.reasons import no_reason, reason_of
from nbci.runs.run_file import new_run_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.app.retraining.model_in_use import ModelInUse
    from nbci.config import Project
    from nbci.records.decision import DecisionEvent, EventKind, Expected


class RetrainRequest(NamedTuple):
    """One call of `nbci retrain`; the fields are its options.

    `because` is the file with the judgement of a monitor. `insists` is `--yes`, `asks` `--ask`;
    with `if_wanted` a judgement starts nothing that the pipeline's triggers do not ask for.
    """

    model: str
    because: str | None = None
    pairs: tuple[str, ...] = ()
    insists: bool = False
    asks: bool = False
    if_wanted: bool = False


class Decided(Struct, frozen=True, kw_only=True):
    """What was decided, or with a plan would be.

    `decision` is None where nothing is to be written down: a window without findings, a limit.
    """

    model: ModelInUse
    answer: Answer
    reason: str
    parameters: tuple[str, ...]
    expected: Expected
    decision: Decision | None = None

    @property
    def document(self) -> dict[str, Any]:
        """What a CI is to start, and why; `nbci retrain --json` prints it."""
        # As `-p` has it, a later one is the stronger.
        names = [pair.partition("=") for pair in self.parameters]
        document: dict[str, Any] = {
            "model": self.model.name,
            "version": self.model.version,
            "start": self.answer.start,
            "sentence": self.answer.sentence,
            "because": self.reason,
            "gives_up": self.answer.gives_up,
            "pipeline": self.model.manifest.target,
            "parameters": {name: value for name, _, value in names},
            "decision": self.decision.id if self.decision is not None else None,
            "expected_seconds": self.expected.seconds,
            "expected_from_runs": self.expected.runs,
            "shared": self.model.is_shared,
        }
        if self.decision is not None and self.decision.data is not None:
            document["data"] = msgspec.to_builtins(self.decision.data)
        return document


def foresee_retraining(project: Project, request: RetrainRequest) -> Decided:
    """What would be decided now; nothing is written."""
    model = find_model_in_use(project, request.model)
    result = _reason_for(model, request)
    _, decisions = known_decisions(model.git, model.name)
    return _consider(model, request, _settled(model, decisions), result)


def decide(project: Project, request: RetrainRequest) -> Decided:
    """Decide, and push the decision; of several who do it at once, one is first.

    The others look again at the limits, which mostly say then that one runs.
    """
    model = find_model_in_use(project, request.model)
    # Read once: stdin gives it no second time when the limits are looked at anew.
    result = _reason_for(model, request)
    # A person who stands behind it has a name.
    by = who_decides(model.git, os.environ, is_person=request.insists)
    for tries_left in reversed(range(TRIES)):
        tip, decisions = _note_settled(model)
        decided = _consider(model, request, decisions, result)
        decision = _to_write(decided, decisions)
        if decision is None:
            return decided
        try:
            add_decision(model.git, decision, tip, by=by)
        except LostTurn:
            if not tries_left:
                raise
            continue
        return replace(decided, decision=decision)
    raise AssertionError


def _note_settled(model: ModelInUse) -> tuple[str | None, tuple[Decision, ...]]:
    """The end of the chain and the decisions, once what came of the last one is written down.

    What was killed would count as running.
    """
    tip, decisions = known_decisions(model.git, model.name)
    events = settle(model.git, model.project, decisions)
    if not events:
        return tip, decisions
    for event in events:
        note_event(model.git, decisions[-1], event)
    # Others may have written, too: `origin` is asked again only here.
    return known_decisions(model.git, model.name)


def _settled(model: ModelInUse, decisions: tuple[Decision, ...]) -> tuple[Decision, ...]:
    """The decisions as they will be once what came of the last one is written down."""
    events = settle(model.git, model.project, decisions)
    if not events:
        return decisions
    last = decisions[-1]
    return (*decisions[:-1], replace(last, events=(*last.events, *events)))


def _reason_for(model: ModelInUse, request: RetrainRequest) -> MonitorResult | None:
    if request.because is None:
        return None
    result = read_monitor(Path(request.because))
    _refuse_other_model(model, result)
    return result


def _consider(
    model: ModelInUse,
    request: RetrainRequest,
    decisions: tuple[Decision, ...],
    result: MonitorResult | None,
) -> Decided:
    parameters, expected = parameters_of(model, request.pairs), expected_cost(model)
    by = who_decides(model.git, os.environ).name
    reason = f"because {by} asked for it"
    if result is not None:
        reason = reason_of(result)
    decided = Decided(
        model=model,
        answer=_answer(model, request, decisions, result),
        reason=reason,
        parameters=parameters,
        expected=expected,
    )
    # A limit that holds is no event: a timer would write it every hour.
    if decided.answer.start is False and not decided.answer.gives_up:
        return decided
    earlier = decided.answer.earlier
    # The reason of the one that waits counts: a person was asked for that.
    if earlier is not None:
        # What one call has written down, the next one of the same build says again.
        params = (*earlier.params, *request.pairs)
        if earlier.state == "decided":
            params = earlier.params
        # The commit may be another by now, and what is to run is that of today.
        now = replace(earlier, params=params, commit=model.git.get("rev-parse", "HEAD"))
        return replace(decided, decision=now, reason=earlier.sentence, parameters=params)
    decision = Decision(
        id=new_run_id(time.time()),
        model=model.name,
        pipeline=model.manifest.target,
        sentence=reason,
        by=by,
        watched=model.version,
        monitor=result.id if result is not None else None,
        window=result.window if result is not None else None,
        rules=tuple(gate for gate in result.gates if gate.refuses) if result is not None else (),
        params=parameters,
        commit=model.git.get("rev-parse", "HEAD"),
        expected=expected,
    )
    return replace(decided, decision=decision)


def _answer(
    model: ModelInUse,
    request: RetrainRequest,
    decisions: tuple[Decision, ...],
    result: MonitorResult | None,
) -> Answer:
    if result is not None:
        unwanted = _explain_unwanted(model, os.environ) if request.if_wanted else None
        if unwanted is not None:
            return Answer(start=False, sentence=unwanted)
        idle = no_reason(result, model.version)
        # A person may know better than the rules, and says so.
        if idle is not None and not request.insists:
            return Answer(start=False, sentence=idle)
    wish = Wish(
        monitor=result.id if result is not None else None,
        build=page_of_build(os.environ),
        insists=request.insists,
        asks=request.asks,
    )
    # The limits of today: those of the release may be why somebody changed them.
    return answer_wish(limits_of(model.pipeline.triggers), decisions, wish, time.time())


def _explain_unwanted(model: ModelInUse, environ: Mapping[str, str]) -> str | None:
    """Why the pipeline's triggers do not ask for it here; None where they do."""
    triggers, target = model.pipeline.triggers or {}, model.pipeline.target
    if "monitor" not in triggers:
        return f"{target} does not ask for it (triggers: monitor)"
    branch = built_branch(model.git.get("symbolic-ref", "--short", "-q", "HEAD"), environ)
    branches = triggers.get("branches")
    # A branch that nobody has looked at has limits of its own, and must not bypass the others'.
    if branches and branch is not None and not allows(branches, branch):
        return f"the triggers of {target} are for {', '.join(branches)} only, and this is {branch}"
    if not branches and environ.get("BRANCH_NAME") and environ.get("BRANCH_IS_PRIMARY") != "true":
        return f"the triggers of {target} are for the primary branch only, and this is {branch}"
    return None


def read_monitor(path: Path) -> MonitorResult:
    """The judgement in a file; UsageError where there is none, or one of another format."""
    try:
        text = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}",
            where=Location(str(path)),
            hint="nbci monitor writes it as monitor.json",
        ) from error
    # Before it is decoded: another format may have other fields.
    refuse_other_format(text, FORMAT, "the judgement of the monitor", path)
    return from_json(text, MonitorResult, str(path))


def _refuse_other_model(model: ModelInUse, result: MonitorResult) -> None:
    # A project in a folder of its repository may be named with or without that.
    if model.name not in (result.model, registry_name(model.git, result.model)):
        raise UsageError(
            f"this is a judgement of {result.model}, not of {model.name}",
            hint=f"nbci retrain {result.model} --because FILE",
        )


def _to_write(decided: Decided, decisions: tuple[Decision, ...]) -> Decision | None:
    """The decision with the event that makes it; None where nothing new is to be said."""
    decision, answer, git = decided.decision, decided.answer, decided.model.git
    if decision is None:
        return None
    kind: EventKind = "decided"
    if answer.gives_up:
        # Said once: a monitor that goes on to refuse would write it again and again.
        if decisions and decisions[-1].state == "refused":
            return None
        kind = "refused"
    elif answer.start == "ask":
        # A person is asked once.
        if answer.earlier is not None:
            return None
        kind = "asked"
    event = new_event(git, kind, answer.sentence)
    return replace(decision, events=(*decision.events, event))


def refuse_waiting(project: Project, text: str, why: str) -> Decision:
    """A person says no to the decision that waits for one."""
    model = find_model_in_use(project, text)
    _, decisions = known_decisions(model.git, model.name)
    for decision in reversed(decisions):
        if decision.state == "asked":
            return note_event(model.git, decision, new_event(model.git, "refused", why))
    raise UsageError(
        f"no decision on {model.name} waits for a person",
        hint=f"nbci decisions {text} lists them",
    )


def end_open(project: Project, text: str, why: str) -> Decision:
    """Somebody who knows it says that what counts as running has come to an end."""
    model = find_model_in_use(project, text)
    _, decisions = known_decisions(model.git, model.name)
    for decision in reversed(decisions):
        if decision.is_open:
            return note_event(model.git, decision, new_event(model.git, "failed", why))
    raise UsageError(
        f"no retraining of {model.name} counts as running",
        hint=f"nbci decisions {text} lists them",
    )


def reset(project: Project, text: str) -> Decision:
    """A person says that what failed or was given up counts no more."""
    model = find_model_in_use(project, text)
    _, decisions = known_decisions(model.git, model.name)
    if not decisions:
        raise UsageError(f"there is no decision on {model.name} to reset")
    decision, by = decisions[-1], who_decides(model.git, os.environ).name
    events: list[DecisionEvent] = []
    if decision.is_open:
        # Only a person knows that a build which was killed will never say so.
        events.append(new_event(model.git, "failed", f"{by} says that it has come to an end"))
    events.append(new_event(model.git, "reset", f"{by} lets it be tried again"))
    for event in events:
        decision = note_event(model.git, decision, event)
    return decision
