"""The display of a sweep for terminals: what goes on in place, above it a line for each trial."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from nbci.cli.live.area import Area
from nbci.cli.live.sweep_progress import SweepProgress
from nbci.cli.sweep_text import best_line, heading, point_text, trial_line, values_text
from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from rich.console import Console
    from rich.text import Text

    from nbci.cli.live.sweep_progress import RunningTrial
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_REDRAW_SECONDS = 0.1
# Columns of the terminal below which there is no room for who carries a trial out.
_NARROW = 72
_STATES = ("running", "complete", "pruned", "failed", "interrupted", "earlier")
_STYLES = {"failed": "red", "pruned": "yellow"}


class SweepTable:
    """Shows one sweep; its methods are those that a `Listener` of sweeps calls."""

    def __init__(
        self,
        stream: TextIO,
        *,
        now: Callable[[], float] = monotonic,
        console: Console | None = None,
    ) -> None:
        """Tests pass a `console` of another size than the stream's own."""
        self._area = Area(stream, console)
        self._now = now
        self._progress: SweepProgress | None = None
        self._ended: list[TrialRecord] = []
        self._pending: list[Text] = []
        self._redrawn_at = float("-inf")

    def begun(self, sweep: SweepRecord) -> None:
        """Write what is searched, and draw the table below."""
        self._progress = SweepProgress(sweep, self._now)
        self._draw([self._area.text(heading(sweep), "bold")])

    def known(self, trials: Sequence[TrialRecord]) -> None:
        """Count the trials that the sweep had before."""
        if self._progress is not None:
            self._progress.know(trials)
        self._ended += trials
        self._redraw()

    def trial_begun(self, trial: TrialRecord) -> None:
        """Show the trial as running."""
        if self._progress is not None:
            self._progress.begin(trial)
        self._redraw()

    def step_begun(self, number: int, step: str) -> None:
        """Show which step runs."""
        if self._progress is not None:
            self._progress.begin_step(number, step)
        self._redraw()

    def ended(self, sweep: SweepRecord, trial: TrialRecord) -> None:
        """Write above the table what came of the trial."""
        if self._progress is not None:
            self._progress.end(trial)
        self._ended.append(trial)
        best = best_line(sweep, trial, self._ended)
        # A failed trial is none of the sweep: no alarm, a colour to find it by.
        style = "green" if best else _STYLES.get(trial.state, "")
        # Of many trials in a moment, the lines are written together.
        self._pending.append(self._area.text(trial_line(sweep, trial) + best, style))
        self._redraw()

    def noticed(self, text: str) -> None:
        """Write a notice above the table."""
        self._draw([self._area.text(f"nbci: {one_line(text)}", "yellow")])

    def ticked(self) -> None:
        """Draw the table with new times."""
        self._draw([])

    def over(self) -> None:
        """Take the table away: the lines of the trials remain."""
        self._progress = None
        self._draw([])

    def _redraw(self) -> None:
        # Of a thousand trials that take no time, each would draw the table twice.
        if self._now() - self._redrawn_at >= _REDRAW_SECONDS:
            self._redrawn_at = self._now()
            self._draw([])

    def _draw(self, lines: Sequence[Text]) -> None:
        rows: list[Text] = []
        if self._progress is not None:
            rows = self._rows(self._progress)
        self._area.draw([*self._pending, *lines], rows)
        self._pending = []

    def _rows(self, progress: SweepProgress) -> list[Text]:
        """As many rows as fit, those of the whole sweep last: they are always to be seen."""
        text, console = self._area.text, self._area.console
        best = _best(progress)
        totals = [text(_how_far(progress), "bold"), text(_counts(progress))]
        if best is not None:
            totals.append(text(best, "green"))
        totals.append(text(_saved(progress), "dim"))
        # The cursor needs a line, too: what scrolls out of the window cannot be wiped.
        room = max(console.height - len(totals) - 2, 1)
        rows = []
        for row in _running_rows(progress, room, is_narrow=console.width < _NARROW):
            rows.append(text(row, "cyan"))
        rows += totals
        for each in rows:
            # The last column stays free: some terminals break the line once it is written.
            each.truncate(max(console.width - 1, 1), overflow="ellipsis")
        return rows


def _running_rows(progress: SweepProgress, room: int, *, is_narrow: bool) -> Iterator[str]:
    running = progress.running
    shown = running
    # The last of the rows says how many more there are.
    if len(running) > room:
        shown = running[: room - 1]
    digits = max((len(str(each.trial.number)) for each in shown), default=1)
    for each in shown:
        yield _running_row(progress, each, digits, is_narrow=is_narrow)
    if len(running) > len(shown):
        yield f"… {len(running) - len(shown)} more run"


def _running_row(
    progress: SweepProgress, running: RunningTrial, digits: int, *, is_narrow: bool
) -> str:
    trial = running.trial
    # At least so wide that a clock that goes on does not move what follows.
    took = f"{duration(progress.running_for(running)):>7}"
    parts = [f"▶ trial {trial.number:>{digits}}", took]
    if trial.worker and not is_narrow:
        parts.append(f"worker {one_line(trial.worker)}")
    parts.append(one_line(running.step or "begins"))
    parts.append(point_text(trial))
    return "  ".join(parts)


def _how_far(progress: SweepProgress) -> str:
    """How many trials are done and how many there will be, and how long that takes."""
    trials = f"{progress.done} trials"
    if progress.asked_for is not None:
        trials = f"{progress.done} of {progress.asked_for} trials"
    line = f"{trials} in {duration(progress.seconds)}"
    left = progress.seconds_left
    if left is not None:
        line += f", about {duration(left)} left"
    return line


def _counts(progress: SweepProgress) -> str:
    counts = progress.counts
    states = [f"{counts[state]} {state}" for state in _STATES if counts.get(state)]
    return ", ".join(states) or "no trial yet"


def _best(progress: SweepProgress) -> str | None:
    front = progress.front
    if not front:
        return None
    # One of the front would be taken for the best of all.
    if len(progress.sweep.objectives) > 1:
        return f"best: {counted(len(front), 'trial')} that no other beats in all"
    best = front[0]
    return f"best: trial {best.number}, {values_text(progress.sweep, best)}  ({point_text(best)})"


def _saved(progress: SweepProgress) -> str:
    time = progress.time
    line = f"computed {duration(time.computed)}, saved {duration(time.reused + time.equal)}"
    if time.total > 0:
        line += f" ({time.saved_share:.0%})"
    return line
