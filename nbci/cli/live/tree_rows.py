"""The rows of the tree: which steps are shown where not all fit, and what each row says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from nbci.cli.live.summary import failure_headline
from nbci.formatting.durations import duration
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from nbci.cli.live.progress import RunProgress, State, StepProgress
    from nbci.plan.model import Plan
    from nbci.records.run_record import StepRecord

# A deeper indent would leave long names no room.
_DEEPEST = 4
# Columns of the terminal below which a row has no room for more than state, name and time.
_NARROW = 60
_FAILURES_KEPT = 5
_SIGNS: dict[State, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "running": ("▶", "bold cyan"),
    "passed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "interrupted": ("■", "yellow"),
    "reused": ("↺", "green"),
    "skipped": ("-", "yellow"),
}
# What a person must act on comes first.
_COUNTED: tuple[State, ...] = (
    "running",
    "failed",
    "interrupted",
    "passed",
    "reused",
    "skipped",
    "waiting",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Widths in terminal columns, and the names as they are shown."""

    shown_names: Mapping[str, str]
    name: int
    time: int
    narrow: bool


def depths(plan: Plan) -> dict[str, int]:
    """How far each step is indented: deeper where a step forks, back out where branches join."""
    followers: dict[str, int] = {}
    for step in plan.steps:
        for before in step.after:
            followers[before] = followers.get(before, 0) + 1

    found: dict[str, int] = {}
    for step in plan.steps:
        above = {name: found[name] for name in step.after if name in found}
        if len(above) == 1:
            ((name, depth),) = above.items()
            is_fork = followers[name] > 1
            found[step.name] = min(depth + is_fork, _DEEPEST)
        else:
            # A step after nothing stands where a join of branches at depth 1 would: at the edge.
            found[step.name] = max(min(above.values(), default=1) - 1, 0)
    return found


def tree_rows(progress: RunProgress, indents: Mapping[str, int], console: Console) -> list[Text]:
    """The rows of the tree, as many as fit on the console, and a last one that counts the steps."""
    if not progress.steps:
        return []
    # The counts and the cursor need room, too: what scrolls out of the window cannot be wiped.
    room = max(console.height - 3, 3)
    running = progress.in_state("running")
    # With many steps at most a third of the rows says what running ones print.
    details = min(len(running), max(room - len(progress.steps), room // 3))
    shown = _shown_steps(progress, room - details)
    detailed = {step.name for step in running[:details]}

    columns = _columns(shown, indents, progress.now(), console.width)
    rows: list[Text] = []
    for step in shown:
        rows.append(_row(step, columns, progress.now()))
        if step.name in detailed:
            rows.append(Text(f"{'':9}  {_detail(step, columns)}", style="dim"))
    rows.append(_counts(progress, len(shown)))
    for row in rows:
        # The last column stays free: some terminals break the line once it is written.
        row.truncate(max(console.width - 1, 1), overflow="ellipsis")
    return rows


def _shown_steps(progress: RunProgress, room: int) -> list[StepProgress]:
    """The steps that fit into `room` rows: running and failed ones first; in the plan's order."""
    if len(progress.steps) <= room:
        return list(progress.steps.values())

    ended = [progress.steps[name] for name in reversed(progress.ended)]
    failed = [step for step in ended if step.state == "failed"][:_FAILURES_KEPT]
    waiting = progress.in_state("waiting")
    # A quarter for what comes next; if room is left, more of what ended last and what waits.
    next_ones = waiting[: max(room // 4, 1)]
    chosen: set[str] = set()
    for step in (*progress.in_state("running"), *failed, *next_ones, *ended, *waiting):
        if len(chosen) < room:
            chosen.add(step.name)
    return [step for name, step in progress.steps.items() if name in chosen]


def _columns(
    shown: list[StepProgress], indents: Mapping[str, int], now: float, width: int
) -> _Columns:
    names, times = {}, []
    for step in shown:
        names[step.name] = "  " * indents.get(step.name, 0) + one_line(step.name)
        times.append(_time(step, now))
    return _Columns(
        shown_names=names,
        name=min(max(map(cell_len, names.values())), max(width // 3, 12)),
        # At least 5, so that a clock that goes on does not move the column at each second.
        time=max(5, *map(len, times)),
        narrow=width < _NARROW,
    )


def _time(step: StepProgress, now: float) -> str:
    return duration(step.seconds(now))


def _row(step: StepProgress, columns: _Columns, now: float) -> Text:
    sign, style = _SIGNS[step.state]
    # What a running step does, and its name, should be seen rather than the colour of its state.
    name_style, remark_style = "", style
    if step.state == "running":
        name_style, remark_style = "bold", ""
    row = Text(f"{sign} {step.state:<7}  ", style=style)
    row.append(_fit(columns.shown_names[step.name], columns.name), style=name_style)
    row.append(f"  {_time(step, now):>{columns.time}}", style="dim")
    row.append(f"  {_remark(step, columns)}", style=remark_style)
    row.rstrip()
    return row


def _fit(text: str, columns: int) -> str:
    """Pad the text to that width; of a longer one the middle is left out.

    The end stays, because it tells the steps of a matrix apart.
    """
    length = cell_len(text)
    if length <= columns:
        return text + " " * (columns - length)

    # Cut a character at a time: some are two columns wide, and some none.
    head, tail = text, text
    while cell_len(head) > (columns - 1) // 2:
        head = head[:-1]
    while cell_len(tail) > columns - 1 - cell_len(head):
        tail = tail[1:]
    return f"{head}…{tail}" + " " * (columns - 1 - cell_len(head) - cell_len(tail))


def _remark(step: StepProgress, columns: _Columns) -> str:
    """The end of the row: how the step ended, or the cell that runs."""
    if columns.narrow:
        # No room for a reason; a failure's stands above the tree.
        if step.state == "running" and step.record is None and step.total:
            return f"{step.index + 1}/{step.total}"
        return ""
    if step.record is not None:
        return _ended_remark(step.record)
    if step.state != "running" or not step.total:
        return ""
    place = f"cell {step.index + 1} of {step.total}"
    if step.attempt > 1:
        place += f", attempt {step.attempt}"
    return f"{place}  {step.first_line}"


def _ended_remark(record: StepRecord) -> str:
    if record.failure is not None:
        return failure_headline(record.failure)
    if record.result == "reused" and record.run:
        return f"from run {record.run}"
    reason = one_line(record.reason or "")
    if not reason and len(record.attempts) > 1:
        return f"at attempt {len(record.attempts)}"
    return reason


def _detail(step: StepProgress, columns: _Columns) -> str:
    """The last line printed; before that the cell, where the row is too narrow for it."""
    printed = one_line(step.last_printed)
    if not printed and columns.narrow:
        printed = step.first_line
    return printed or "nothing printed yet"


def _counts(progress: RunProgress, shown: int) -> Text:
    counts = progress.counts()
    texts = [f"{counts[state]} {state}" for state in _COUNTED if counts[state]]
    line = f"{duration(progress.seconds())}: {', '.join(texts)}"
    hidden = len(progress.steps) - shown
    if hidden:
        line += f" ({hidden} not shown)"
    return Text(line, style="bold")
