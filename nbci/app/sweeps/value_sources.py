"""Where a step shows the values of a metric while it runs: what it prints, shows and writes."""

from __future__ import annotations

import contextlib
import json
import signal
import stat
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nbci.kernels.scraps import scrap_of
from nbci.sweeps.curves import Documents, PrintedLines, curve_of_lines, curve_of_table

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.plan.model import PlannedStep
    from nbci.sweeps.curves import Point

_MATCHING_SECONDS = 0.5
_TABLES = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
_DOCUMENTS = (".json",)
_DVCLIVE = "dvclive"
_MOST_BYTES = 8 << 20
"""A file that is larger than that is no curve, and would be read again twice a second."""


class TooSlow(Exception):
    """A pattern that was still being matched when its time was over."""


class Source(Protocol):
    """One place where values may come up."""

    def take(self) -> Sequence[Point]:
        """The values that have come since the last call; some of them may have come before."""


class Lines:
    """Lines that match a pattern."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._lines: PrintedLines | None = PrintedLines(pattern)
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Take what was printed; it is read later, so that the step is not kept waiting."""
        self._texts.append(text)

    def take(self) -> Sequence[Point]:
        """As every source; TooSlow, once, where the pattern takes for ever."""
        text = "".join(self._texts)
        self._texts.clear()
        if self._lines is None:
            return ()
        try:
            with _time_limit(_MATCHING_SECONDS):
                return tuple(self._lines.feed(text))
        except TooSlow as error:
            self._lines = None
            raise TooSlow(
                f"`report` took longer than {_MATCHING_SECONDS:g} s for what a step printed, and "
                "is not asked again there: write it without repeats within repeats"
            ) from error


class Scraps:
    """Records of scrapbook that carry the metric's name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._documents = Documents(name)
        self._waiting: list[Any] = []

    def add(self, output: Mapping[str, Any]) -> None:
        """Take what was shown, where it is such a record."""
        scrap = scrap_of(output, None)
        if scrap is not None and scrap.name == self._name:
            self._waiting.append(scrap.data)

    def take(self) -> Sequence[Point]:
        points: list[Point] = []
        # Several may have come between two looks, each with the next value.
        for data in self._waiting:
            points += self._documents.read({self._name: data})
        self._waiting.clear()
        return points


class GrowingFile:
    """A file that a step writes: a table, lines of JSON, or JSON."""

    def __init__(self, path: Path, name: str, *, is_new: bool = True) -> None:
        """Unless `is_new`, what is there now is of another run, and does not count."""
        self._path = path
        self._name = name
        self._documents = Documents(name)
        self._stamp: tuple[int, int, int] | None = None
        if is_new:
            self._stamp = self._stamp_now()

    def take(self) -> Sequence[Point]:
        stamp = self._stamp_now()
        if stamp is None or stamp == self._stamp:
            return ()
        self._stamp = stamp
        # Whoever writes it may be in the middle of that.
        with contextlib.suppress(OSError, ValueError):
            return self._points(self._path.read_text(encoding="utf-8"))
        return ()

    def _points(self, text: str) -> Sequence[Point]:
        suffix = self._path.suffix.lower()
        if suffix in _TABLES:
            return curve_of_table(text, self._name, _TABLES[suffix])
        if suffix in _LINES:
            return curve_of_lines(text, self._name)
        return self._documents.read(json.loads(text))

    def _stamp_now(self) -> tuple[int, int, int] | None:
        """What tells one state of the file from another; None where there is none to read."""
        with contextlib.suppress(OSError):
            status = self._path.stat()
            # A pipe would be waited for.
            if stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_BYTES:
                return status.st_mtime_ns, status.st_size, status.st_ino
        return None


class StepOutputs:
    """Reads along in one attempt at a step; the first place that has values is the one that counts.

    A training may print the same values that it writes to a file.
    """

    def __init__(
        self, step: str, lines: Lines | None, scraps: Scraps | None, files: Sequence[GrowingFile]
    ) -> None:
        self.step = step
        self._lines = lines
        self._scraps = scraps
        self._sources: tuple[Source, ...] = tuple(filter(None, (lines, scraps, *files)))

    def printed(self, text: str, stream: Literal["stdout", "stderr"]) -> None:
        """Take what a cell printed."""
        if self._lines is not None and stream == "stdout":
            self._lines.add(text)

    def shown(self, output: Mapping[str, Any]) -> None:
        """Take what a cell showed."""
        if self._scraps is not None:
            self._scraps.add(output)

    def take(self) -> Sequence[Point]:
        """The values that have come since the last call; some of them may have come before."""
        for source in self._sources:
            points = source.take()
            # From now on the others are not asked any more.
            if points:
                self._sources = (source,)
                return points
        return ()


def files_of(step: PlannedStep, root: Path, name: str) -> Iterator[Path]:
    """The files in which a step may write a curve: those that it declares, and DVCLive's."""
    folders = [root / step.cwd / _DVCLIVE]
    for path in dict.fromkeys((*step.metrics, *step.outs)):
        place = root / path
        if place.suffix.lower() in (*_TABLES, *_LINES, *_DOCUMENTS):
            yield place
        else:
            folders.append(place)
    for folder in folders:
        # https://dvc.org/doc/dvclive/how-it-works: a table a metric, and the newest values of all.
        yield folder / "plots" / "metrics" / f"{name}.tsv"
        yield folder / "metrics.json"


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """TooSlow once the block has taken so much time of the processor; on the main thread.

    Patterns have no time limit of their own, but look for signals while they are matched. The timer
    is another one than that by which Ctrl-C is seen through.
    """

    def give_up(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
