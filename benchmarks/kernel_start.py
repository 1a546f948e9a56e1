"""Kernel start to first result, and eight kernels side by side: stock jupyter_client against nbci, in pairs.

python benchmarks/kernel_start.py [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from nbci.kernels.job import KernelJob
from nbci.kernels.process import KernelProcess
from nbci.kernels.zygote.zygotes import Zygotes
from nbci.secrets import Mask

IMPORTS = "import numpy, pandas"


async def stock(code: str) -> tuple[float, float, Any, Any]:
    """Seconds to the first reply with jupyter_client's own manager and client."""
    began = time.perf_counter()
    manager = AsyncKernelManager(kernel_name="python3")
    await manager.start_kernel(extra_arguments=["--HistoryManager.hist_file=:memory:"])
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    await client.execute(code, reply=True, timeout=60)
    first = time.perf_counter() - began
    provisioner: Any = manager.provisioner

    async def end() -> float:
        began = time.perf_counter()
        client.stop_channels()
        await manager.shutdown_kernel()
        return time.perf_counter() - began

    return first, 0.0, end, provisioner.pid


async def forked(code: str, zygotes: Zygotes) -> tuple[float, float, Any, Any]:
    """Seconds to the first reply with nbci's."""
    folder = Path(tempfile.mkdtemp())
    cells: tuple[Any, ...] = ()
    job = KernelJob(
        step="s", kernel_name="python3", language="python", notebook_metadata={}, cells=cells, cwd=folder,
        project=folder, env=dict(os.environ), values_folder=folder, spill_folder=folder,
        log_path=folder / "log",
    )  # fmt: skip
    began = time.perf_counter()
    process = KernelProcess(job, Mask(()), lambda _: None, zygotes)
    await process.start()
    assert process.client is not None
    asked = process.client.execute(code)
    while (await process.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != asked:
        pass
    first = time.perf_counter() - began

    async def end() -> float:
        began = time.perf_counter()
        await process.end(5)
        return time.perf_counter() - began

    return first, 0.0, end, process.pid


def pss_mib(pid: int) -> float:
    """Memory of a process, what it shares divided among those that share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def starts(rounds: int) -> dict[str, Any]:
    """Medians of pairs, one after another."""
    seen: dict[str, list[float]] = {}
    with (
        Zygotes(environ=dict(os.environ), spares=0) as bare,
        Zygotes(environ=dict(os.environ), spares=1) as spared,
    ):
        for number in range(rounds + 2):
            ways = {"stock": stock("1"), "forked": forked("1", bare), "spare": forked("1", spared)}
            for name, way in ways.items():
                first, _, end, _ = await way
                ended = await end()
                if number > 1:
                    seen.setdefault(name, []).append(first)
                    seen.setdefault(f"{name} end", []).append(ended)
                await asyncio.sleep(0.1)
    medians = {name: round(statistics.median(values) * 1000, 1) for name, values in seen.items()}
    ratios = {
        f"{name} / stock": round(statistics.median(a / b for a, b in zip(seen[name], seen["stock"], strict=True)), 3)
        for name in ("forked", "spare")
    }
    return {"milliseconds": medians, "ratios": ratios}


async def side_by_side(count: int) -> dict[str, Any]:
    """`count` kernels at once, each with imports: time until all replied, and what one takes of the memory."""
    found: dict[str, Any] = {}
    with Zygotes(environ=dict(os.environ), spares=0) as zygotes:
        warm = [forked(IMPORTS, zygotes)]
        *_, end, _ = await warm[0]
        await end()
        prepare(zygotes)
        for name in ("stock", "forked"):
            began = time.perf_counter()
            makes = [stock(IMPORTS) if name == "stock" else forked(IMPORTS, zygotes) for _ in range(count)]
            kernels = await asyncio.gather(*makes)
            seconds = time.perf_counter() - began
            found[name] = {
                "seconds": round(seconds, 2),
                "pss_mib": round(sum(pss_mib(k[3]) for k in kernels) / count, 1),
            }
            for *_, end, _ in kernels:
                await end()
    found["faster"] = round(found["stock"]["seconds"] / found["forked"]["seconds"], 2)
    found["memory"] = round(found["forked"]["pss_mib"] / found["stock"]["pss_mib"], 3)
    return found


def prepare(zygotes: Zygotes) -> None:
    """Have them import what the kernels will."""
    zygotes.prepare(IMPORTS.removeprefix("import ").split(", "))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = {"start": asyncio.run(starts(arguments.rounds)), "eight": asyncio.run(side_by_side(8))}
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    for name, value in {**result["start"]["milliseconds"], **result["start"]["ratios"], **result["eight"]}.items():
        print(f"{name:16} {value}")


if __name__ == "__main__":
    main()
