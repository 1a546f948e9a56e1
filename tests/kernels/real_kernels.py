"""Jobs for real kernels, and a listener that remembers."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbci.kernels.execute import run_job
from nbci.kernels.job import ProgramCell
from nbci.kernels.zygote.zygotes import Zygotes

if TYPE_CHECKING:
    from nbci.kernels.job import JobOutcome, KernelJob
    from nbci.records.run_record import CellRun


def zygotes() -> Zygotes:
    """Zygotes as the engine has them; forked kernels and started ones must behave alike."""
    return Zygotes(environ=dict(os.environ))


@dataclass
class Recorder:
    """A listener that keeps what it is told."""

    texts: list[tuple[int | None, str, str]] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    ended: list[CellRun] = field(default_factory=list)

    def cell_started(self, cell: ProgramCell, index: int, total: int) -> None:
        self.started.append(index)

    def text_printed(self, cell: ProgramCell | None, text: str, stream: str) -> None:
        self.texts.append((cell.number if cell else None, text, stream))

    def cell_ended(self, cell: ProgramCell, run: CellRun) -> None:
        self.ended.append(run)

    @property
    def text(self) -> str:
        return "".join(text for _, text, _ in self.texts)


def cells(*sources: str, tags: tuple[str, ...] = ()) -> tuple[ProgramCell, ...]:
    """Step cells numbered from 1."""
    return tuple(
        ProgramCell(role="step", number=number, source=source, tags=tags)
        for number, source in enumerate(sources, 1)
    )


def run(job: KernelJob, listener: Recorder | None = None, limit_seconds: float = 60) -> JobOutcome:
    """Run one job to its end."""

    async def limited() -> JobOutcome:
        with zygotes() as own:
            return await asyncio.wait_for(run_job(job, listener or Recorder(), own), limit_seconds)

    return asyncio.run(limited())


def run_all(*jobs: KernelJob) -> list[JobOutcome]:
    """Run jobs side by side in one loop."""

    async def together() -> list[JobOutcome]:
        with zygotes() as own:
            return list(await asyncio.gather(*(run_job(job, Recorder(), own) for job in jobs)))

    return asyncio.run(together())


def printed(outcome: JobOutcome, index: int) -> str:
    """What the cell at `index` printed, both streams."""
    outputs = outcome.notebook["cells"][index]["outputs"]
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")
