"""How things are measured: in turns, in pairs, medians first.

Every way checks its own result or raises `Wrong`.

Absolute times belong to a machine; what travels is the ratio between two ways that took turns in
one run.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import psutil

Way = Callable[[], float]
"""Does the work once, checks that it was done, and answers what it took (seconds, or bytes)."""

Unit = Literal["s", "bytes"]

_SAMPLE_SECONDS = 0.02


class Wrong(Exception):
    """What was to be measured did not do its work, so there is nothing to measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a benchmark is given: a folder, a place for the peers, and how thorough to be.

    `folder`, empty at first, is for all that it makes; `peers`, for the peers' environments, stays
    between runs.
    """

    folder: Path
    peers: Path
    quick: bool = False

    def pick(self, full: int, quick: int) -> int:
        """A number of rounds, or a size: the second one where a quick look is asked for."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What several measurements of one thing say: the median, and the quartiles around it."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of these; one value alone has none."""
        quartiles = (
            statistics.quantiles(values, n=4, method="inclusive")
            if len(values) > 1
            else [values[0]] * 3
        )
        low, median, high = quartiles
        return cls(median=median, low=low, high=high, rounds=len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The most that the ratio to the peer, or nbci's own figure (in the row's unit), may be."""

    at_most: float
    of: Literal["ratio", "figure"] = "ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    `ratio` is nbci's figure divided by the peer's, taken in pairs; small is good.
    """

    work: str
    figure: Spread
    unit: Unit = "s"
    peer: str | None = None
    peer_figure: Spread | None = None
    ratio: Spread | None = None
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        judged = self.ratio if self.target.of == "ratio" else self.figure
        assert judged is not None, f"a target for a ratio that was not measured: {self.work}"
        return judged.median <= self.target.at_most


def take_turns(
    ways: Mapping[str, Way], *, rounds: int, warmups: int = 1
) -> dict[str, tuple[float, ...]]:
    """Let every way do its work once a round; who comes first changes with the round.

    Warm-ups do not count.
    """
    seen: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(-warmups, rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            figure = ways[name]()
            if number >= 0:
                seen[name].append(figure)
    return {name: tuple(figures) for name, figures in seen.items()}


def compared(
    work: str,
    ours: Sequence[float],
    peer: str,
    theirs: Sequence[float],
    *,
    at_most: float | None = None,
    figure_at_most: float | None = None,
    unit: Unit = "s",
) -> Row:
    """A row for figures that come from the same rounds.

    `at_most` is the target for the ratio, or one for our figure.

    >>> compared("sleeping", [1.0, 2.0, 3.0], "a cat", [4.0, 8.0, 4.0], at_most=0.3).met
    True
    """
    target = None if at_most is None else Target(at_most=at_most)
    if figure_at_most is not None:
        target = Target(at_most=figure_at_most, of="figure")
    return Row(
        work=work,
        figure=Spread.of(ours),
        unit=unit,
        peer=peer,
        peer_figure=Spread.of(theirs),
        ratio=Spread.of([a / b for a, b in zip(ours, theirs, strict=True)]),
        target=target,
    )


def figure(
    work: str, values: Sequence[float], *, at_most: float | None = None, unit: Unit = "s"
) -> Row:
    """A row without a peer; `at_most` is the target in its unit."""
    target = None if at_most is None else Target(at_most=at_most, of="figure")
    return Row(work=work, figure=Spread.of(values), unit=unit, target=target)


def seconds_of(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    expect: str = "",
    status: int = 0,
) -> float:
    """Seconds that a whole command took, from before it starts until it has ended.

    Raises `Wrong` when it ends with another status, or when `expect` is not in what it printed.
    """
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        code = subprocess.run(
            list(map(str, argv)),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        ).returncode
        seconds = time.perf_counter() - began
        _check(argv, code == status, _all_of(output), expect, f"ended with {code}")
    return seconds


def peak_memory_of(
    argv: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], expect: str = ""
) -> float:
    """Most bytes (PSS) that a command and its descendants held at once, as sampled.

    Sampling slows the command, so such a run is never timed.
    """
    peak = 0
    with tempfile.TemporaryFile() as output:
        process = psutil.Popen(
            list(map(str, argv)),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            while process.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    tree = [process.pid, *(child.pid for child in process.children(recursive=True))]
                    peak = max(peak, sum(map(shared_bytes, tree)))
                time.sleep(_SAMPLE_SECONDS)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()  # it has ended, unless this was interrupted
        code = process.wait()
        _check(argv, code == 0, _all_of(output), expect, f"ended with {code}")
    return float(peak)


def shared_bytes(pid: int) -> int:
    """Memory of a process (PSS): what it shares is divided among those that share it.

    0 when it has gone.
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _all_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _check(
    argv: Sequence[str | Path], ended_well: bool, output: bytes, expect: str, problem: str
) -> None:
    if ended_well and expect.encode() in output:
        return
    command = " ".join(os.fspath(part) for part in argv)
    tail = output[-2000:].decode(errors="replace")
    raise Wrong(f"{command}: {problem if not ended_well else f'did not say {expect!r}'}\n{tail}")
