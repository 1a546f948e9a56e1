"""Write down what happens to a decision, whoever else writes at that time."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.app.retraining.model_in_use import known_decisions, who_decides, with_id
from nbci.errors import IntegrityError, NbciError, UsageError
from nbci.formatting.durations import now_utc
from nbci.git.checkout import is_in_repository
from nbci.git.process import open_git
from nbci.jenkins.access import address, find_access
from nbci.records.decision import DecisionEvent
from nbci.registry.decisions import LostTurn, add_decision
from nbci.retraining.reasons import closing_sentence, outcome_of
from nbci.runs.project_runs import find_run
from nbci.trust.change import change_of
from nbci.web_pages import build_url, build_words, checked_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.config import Project
    from nbci.git.process import Git
    from nbci.promotion.promote import Promotion
    from nbci.records.decision import Decision, EventKind, NewData
    from nbci.records.monitoring import MonitorResult
    from nbci.records.run_record import RunRecord

TRIES = 5
"""How often a decision is looked at anew when another was pushed first."""
_ENDED = ("failed", "no better", "passed", "promoted", "closed", "refused")


def new_event(
    git: Git,
    kind: EventKind,
    sentence: str,
    *,
    run: str | None = None,
    version: str | None = None,
) -> DecisionEvent:
    """Something that happens now, on this machine."""
    return DecisionEvent(
        kind=kind,
        at_utc=now_utc(),
        by=who_decides(git, os.environ).name,
        sentence=sentence,
        host=platform.node() or None,
        run=run,
        build=page_of_build(os.environ),
        version=version,
    )


def page_of_build(environ: Mapping[str, str]) -> str | None:
    """The page of the CI build that runs this, if one does."""
    # Most controllers of Jenkins inside a company have no TLS.
    return checked_page(build_url(environ), http_too=True)


def note_event(
    git: Git, decision: Decision, event: DecisionEvent, *, data: NewData | None = None
) -> Decision:
    """Append the event, and new data, to the decision as it stands now; the decision with it.

    A race for the end of the chain is run again: another decision's event takes nothing from this.
    """
    by = who_decides(git, os.environ)
    for tries_left in reversed(range(TRIES)):
        tip, known = known_decisions(git, decision.model)
        # What others have added meanwhile stays in it.
        now = with_id(known, decision.id) or decision
        after = replace(now, events=(*now.events, event), data=data or now.data)
        try:
            add_decision(git, after, tip, by=by)
        except LostTurn:
            if not tries_left:
                raise
            continue
        return after
    raise AssertionError


def settle(git: Git, project: Project, decisions: tuple[Decision, ...]) -> list[DecisionEvent]:
    """What came of the newest decision, where its run is here and over and nobody has said so.

    Whoever carried it out was killed before they could. Of a build, the controller knows it.
    """
    if not decisions or decisions[-1].state != "started":
        return []
    last = decisions[-1].last
    run = last.run if last is not None else None
    if run is None:
        # A build of a CI has no run here; where nobody knows how it is, its age tells.
        # Whoever may push decisions has written the address.
        page = checked_page(last.build, http_too=True) if last is not None else None
        ended = _end_of_build(project, page)
        return [new_event(git, "failed", ended)] if ended is not None else []
    try:
        folder = find_run(project, run)
    except UsageError:
        # It ran in another clone.
        return []
    # Its lock dies with the process, however that ended.
    if folder.is_going_on:
        return []
    kind, sentence = outcome_of(folder.read())
    # What is read whole has an end already, that of the process which left it.
    if folder.read_header().result == "running":
        kind, sentence = "failed", f"run {run} was killed before it had ended"
    return [new_event(git, kind, sentence, run=run)]


def _end_of_build(project: Project, page: str | None) -> str | None:
    """That the build has ended, where the project's controller says so; None where nothing does."""
    try:
        if page is None or address(project, os.environ) is None:
            return None
        # Imported only here: few machines that decide know the controller.
        from nbci.jenkins.builds import result_at
        from nbci.jenkins.controller import Controller

        result = result_at(Controller(find_access(project, os.environ)), page)
    except NbciError:
        # A controller that is away or hides the build tells nothing: it may go on.
        return None
    if result is None:
        return None
    return f"{build_words(page)} ended as {result}, and has not said what came of it ({page})"


def note_start(git: Git, decision: Decision, run: str | None) -> Decision:
    """Note that its run begins, in this process or in this build."""
    what = f"run {run} began" if run else "a build began"
    return note_event(git, decision, new_event(git, "started", what, run=run))


def note_outcome(project: Project, record: RunRecord) -> Decision | None:
    """Note what a run came to that a decision started; the decision, None without one."""
    found = _decision_of(project, record)
    if found is None:
        return None
    git, decision = found
    # `nbci finish` may be repeated, also when more has happened since.
    if any(event.run == record.run and event.kind in _ENDED for event in decision.events):
        return decision
    kind, sentence = outcome_of(record)
    return note_event(git, decision, new_event(git, kind, sentence, run=record.run))


def note_promotion(project: Project, record: RunRecord, promotion: Promotion) -> Decision | None:
    """Note that the model of such a run was promoted."""
    found = _decision_of(project, record)
    # What was only tried did not happen.
    if found is None or promotion.dry_run:
        return None
    git, decision = found
    done = decision.first("promoted")
    # `nbci promote` may be repeated, too.
    if done is not None and done.version == promotion.version:
        return decision
    instead = f", in the place of {promotion.before}" if promotion.before else ""
    sentence = f"{promotion.model} {promotion.version} of run {record.run} was promoted{instead}"
    event = new_event(git, "promoted", sentence, run=record.run, version=promotion.version)
    return note_event(git, decision, event)


def close_by_window(project: Project, result: MonitorResult) -> str | None:
    """Close the decision by this window, if one waits for that; what came of it, for people.

    A problem is a remark, too: the judgement of the window stands without.
    """
    # A window without rows says nothing of a version.
    if not result.window.rows or not is_in_repository(project.root):
        return None
    if change_of(os.environ) is not None:
        return None
    try:
        closed = close_decision(project, result)
    except NbciError as error:
        return f"whether a decision on {result.model} can be closed is not known: {error}"
    if closed is None or closed.last is None:
        return None
    return f"decision {closed.id} is closed: {closed.last.sentence}"


def close_decision(project: Project, result: MonitorResult) -> Decision | None:
    """Close the decision that led to the version that was watched, by what its window shows.

    None where there is none, or where it is closed already.
    """
    git = open_git(project.root)
    _, decisions = known_decisions(git, result.model)
    for decision in reversed(decisions):
        promoted = decision.first("promoted")
        # A version taken back and released again has another number.
        if promoted is None or promoted.version != result.version:
            continue
        if decision.state == "closed":
            return None
        sentence = closing_sentence(decision, result)
        event = new_event(git, "closed", sentence, version=result.version)
        return note_event(git, decision, event)
    return None


def _decision_of(project: Project, record: RunRecord) -> tuple[Git, Decision] | None:
    cause = record.because
    if cause is None:
        return None
    git = open_git(project.root)
    _, decisions = known_decisions(git, cause.model)
    decision = with_id(decisions, cause.decision)
    if decision is None:
        raise IntegrityError(
            f"run {record.run} names the decision {cause.decision} on {cause.model}, "
            "which is not among those that git has",
            hint=f"nbci decisions {cause.model} lists them",
        )
    return git, decision


def explain_unnoted(error: NbciError, record: RunRecord) -> str:
    """Say that a decision does not know yet what came of it."""
    cause = record.because
    named = cause.decision if cause is not None else ""
    return f"what came of decision {named} could not be noted: {error}"
