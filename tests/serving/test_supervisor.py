"""Several processes on one address: orders reach all of them or none, and who dies is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from nbci.errors import IntegrityError
from nbci.serving.supervisor import Supervisor
from nbci.serving.worker import ServerSettings
from tests.promotion.test_packaging import ROWS, WEIGHTS
from tests.serving.linear import linear

if TYPE_CHECKING:
    from pathlib import Path


def served_version(port: int) -> str:
    """What a new connection is told, of whichever process."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/linear") as response:
        (version,) = json.loads(response.read())["versions"]
    return str(version)


def test_it_ends_while_it_starts(tmp_path: Path) -> None:
    async def main() -> None:
        settings = ServerSettings(models=(linear(tmp_path),))
        supervisor = Supervisor(settings, None, 2, lambda *_, **__: None)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            listening.set_inheritable(True)
            serving = supervisor.serve(listening, lambda: pytest.fail("it has not started"))
            task = asyncio.create_task(serving)
            # Its processes are about to start, and cannot be told anything yet.
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(task, 30)

    asyncio.run(main())


@pytest.mark.slow
def test_a_bad_version_leaves_all_as_they_were_and_a_new_process_begins_with_the_old(
    tmp_path: Path,
) -> None:
    told: list[dict[str, Any]] = []

    def log(event: str, **fields: Any) -> None:
        told.append({"event": event, **fields})

    async def wait_for(processes: int, serving: asyncio.Task[None]) -> list[int]:
        while True:
            ready = [each["pid"] for each in told if each["event"] == "worker ready"]
            if len(ready) == processes:
                return ready
            assert not serving.done(), serving.exception()
            await asyncio.sleep(0.02)

    async def work(port: int, supervisor: Supervisor, serving: asyncio.Task[None]) -> None:
        first, _ = await wait_for(2, serving)
        bad = linear(tmp_path / "bad", "v2.0.0", scores=ROWS @ WEIGHTS + 1)
        with pytest.raises(IntegrityError, match="does not answer its sample"):
            await supervisor.switch([bad])
        os.kill(first, signal.SIGKILL)
        await wait_for(3, serving)
        versions = {await asyncio.to_thread(served_version, port) for _ in range(8)}
        assert versions == {"v1.0.0"}

        await supervisor.switch([linear(tmp_path / "good", "v2.0.0")])
        versions = {await asyncio.to_thread(served_version, port) for _ in range(8)}
        assert versions == {"v2.0.0"}

    async def main() -> None:
        settings = ServerSettings(models=(linear(tmp_path / "one"),))
        supervisor = Supervisor(settings, None, 2, log)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            listening.set_inheritable(True)
            serving = asyncio.create_task(supervisor.serve(listening, lambda: None))
            try:
                await work(listening.getsockname()[1], supervisor, serving)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                await serving

    asyncio.run(main())
