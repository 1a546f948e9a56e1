"""Planning pipelines of 1,000, 5,000 and 10,000 steps, whole command."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import compared, figure, peak_memory_of, seconds_of, take_turns
from benchmarks.projects import chain, listed
from benchmarks.surroundings import nbci, of_nbci

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Bench, Row

MOST_SECONDS = 1.5
LINEAR = 1.2
"""Time may grow by this factor more than the number of steps does before it counts as more than
linear.
"""


def rows(bench: Bench) -> Iterator[Row]:
    """A notebook whose tagged cells pass values, and a pipeline file whose steps pass files."""
    env = of_nbci(bench.folder)
    for form, make in (("tagged cells", chain), ("a pipeline file", listed)):
        sizes = (1000, bench.pick(5000, 2000), bench.pick(10_000, 5000))
        ways, watched = {}, {}
        for size in sizes:
            project = bench.folder / f"{make.__name__}-{size}"
            argv = nbci("plan", make(project, size))
            ways[f"{size}"] = partial(
                seconds_of, argv, cwd=project, env=env, expect=f": {size:,} steps"
            )
            watched[f"{size}"] = partial(
                peak_memory_of, argv, cwd=project, env=env, expect=f": {size:,} steps"
            )
        seen = take_turns(ways, rounds=bench.pick(3, 1))
        small, *_, large = sizes
        yield from (figure(f"plan {size:,} steps, {form}", seen[f"{size}"]) for size in sizes[:-1])
        yield figure(
            f"plan {large:,} steps, {form}", seen[f"{large}"], at_most=MOST_SECONDS * large / 10_000
        )
        growth = LINEAR * large / small
        memory = take_turns(
            {size: watched[size] for size in (f"{small}", f"{large}")}, rounds=1, warmups=0
        )
        yield compared(
            f"from {small:,} to {large:,} steps, {form}",
            seen[f"{large}"],
            f"{small:,} steps",
            seen[f"{small}"],
            at_most=growth,
        )
        yield compared(
            f"from {small:,} to {large:,} steps, {form}, memory",
            memory[f"{large}"],
            f"{small:,} steps",
            memory[f"{small}"],
            at_most=growth,
            unit="bytes",
        )
