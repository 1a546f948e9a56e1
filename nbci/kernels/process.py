"""One kernel from its start to the end of its last grandchild."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import uuid
from typing import TYPE_CHECKING, Any

from nbci.kernels import processes
from nbci.kernels.connection import limit_queue, new_client, wait_until_ready
from nbci.kernels.family import MARKER, family, kill
from nbci.kernels.kernel_log import KernelLog
from nbci.kernels.kernel_manager import StartFailed, new_manager, start_kernel
from nbci.kernels.private import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

    from nbci.kernels.job import KernelJob
    from nbci.kernels.zygote.zygotes import Zygotes
    from nbci.secrets import Mask

POLL_SECONDS = 0.05
CHILDREN_SECONDS = 0.5
FAMILY_SECONDS = 2.0
MEMORY_POLLS = 5


class KernelProcess:
    """A kernel's process, its channels, its log."""

    def __init__(
        self,
        job: KernelJob,
        mask: Mask,
        on_log: Callable[[str], None],
        zygotes: Zygotes | None = None,
    ) -> None:
        """`on_log` is called with what the process writes outside any cell, masked."""
        self._job = job
        self._zygotes = zygotes
        self._folder = private_folder()
        self._log = KernelLog(job.log_path, mask, on_log)
        self._marker = uuid.uuid4().hex
        # Before the start, so that a kill of nbci at any time leaves no kernel that nobody ends.
        self._folder.mark(self._marker)
        self._manager: AsyncKernelManager | None = None
        self._process: Any = None
        self._oom_kills: int | None = None
        self._memory: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._forget_end: Callable[[], object] = bool
        self.client: AsyncKernelClient | None = None
        self.peak_memory_bytes = 0
        self.died: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.language_info: dict[str, Any] = {}
        self.greetings: set[str] = set()
        """Requests that only asked whether the kernel was there."""

    @property
    def manager(self) -> AsyncKernelManager:
        """The manager of a started kernel."""
        if self._manager is None:
            raise StartFailed("the kernel was not started")
        return self._manager

    async def start(self) -> None:
        """Start the process and wait until it answers. Raises StartFailed."""
        self._manager = new_manager(self._job, self._folder, self._marker, self._zygotes)
        await self._launch(self._manager)

        self._process = getattr(self._manager.provisioner, "process", None)
        self._oom_kills = processes.out_of_memory_kills(self.pid)
        self._watch = asyncio.ensure_future(self._watch_process())
        self._notice_end_at_once()

        self.client = new_client(self._manager, self._job.language)
        limit_queue(self.client, self._manager, self._job.language)
        # No heartbeat: the process itself is watched, which tells of its end sooner.
        self.client.start_channels(hb=False)
        self.client.allow_stdin = False
        self.language_info = await wait_until_ready(self.client, self.died, self.greetings)

        begin = getattr(self.client.iopub_channel, "begin", None)
        if begin is not None:
            begin(self._set_stopped)

    async def _launch(self, manager: AsyncKernelManager) -> None:
        arguments = []
        if self._job.language == "python":
            # Steps leave nothing in the user's own history of IPython.
            arguments = ["--HistoryManager.hist_file=:memory:"]
        try:
            await start_kernel(
                manager,
                extra_arguments=arguments,
                env={**self._job.env, MARKER: self._marker},
                cwd=str(self._job.cwd),
                stdout=self._log.sink,
                stderr=self._log.sink,
            )
        except OSError as error:
            raise StartFailed(f"the kernel's process could not be started: {error}") from error
        finally:
            self._log.close_sink()

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return int(getattr(self._process, "pid", 0) or 0)

    @property
    def parent_pid(self) -> int:
        """The process that the kernel must not outlive."""
        return int(getattr(self._process, "parent", 0) or os.getpid())

    @property
    def is_forked(self) -> bool:
        """Whether it is a fork of a zygote."""
        # A ForkedProcess; its module is not imported where no kernel is forked.
        return hasattr(self._process, "parent")

    @property
    def log_tail(self) -> str:
        """The end of what the process wrote outside any cell."""
        return self._log.tail

    def death(self) -> processes.Death:
        """How the process ended; only after `died` is done."""
        status = self.died.result()
        # The dead process has no entry in /proc any more, so nbci's own group is looked up.
        after = processes.out_of_memory_kills(os.getpid())
        before = self._oom_kills
        grew = after is not None and before is not None and after > before
        return processes.Death(
            status=status,
            out_of_memory=grew and status == -9,
            last_memory_bytes=self._memory,
            lost=getattr(self._process, "lost", False),
        )

    async def interrupt(self) -> None:
        """Interrupt what the kernel is doing; it may not obey."""
        self._let_run()
        with contextlib.suppress(Exception):
            await self.manager.interrupt_kernel()

    def kill(self) -> None:
        """Kill the kernel and everything it started, at once."""
        if self.pid:
            kill(family(self.pid, self._marker))

    async def end(self, grace_seconds: float) -> None:
        """Ask the kernel to end for `grace_seconds`, kill what is left, and remove its files."""
        try:
            if self.pid and not self.died.done() and grace_seconds > 0:
                # A process that stands still could not hear the request.
                self._let_run()
                with contextlib.suppress(Exception):
                    await self.manager.request_shutdown()
                await self._await_end(grace_seconds)
            await self._end_family()
        finally:
            if self._watch is not None:
                self._watch.cancel()
            self._forget_end()
            await self._release()

    async def _await_end(self, grace_seconds: float) -> None:
        """Wait for a kernel that was asked to end.

        ipykernel waits for its children first, so they are killed after CHILDREN_SECONDS.
        """
        children_seconds = min(CHILDREN_SECONDS, grace_seconds)
        await asyncio.wait({self.died}, timeout=children_seconds)
        if not self.died.done():
            kill(family(self.pid, self._marker) - {self.pid})
            await asyncio.wait({self.died}, timeout=grace_seconds - children_seconds)

    async def _end_family(self) -> None:
        if not self.pid:
            return
        deadline = time.monotonic() + FAMILY_SECONDS

        # Again and again, since what is killed may have started others meanwhile.
        left = family(self.pid, self._marker)
        while left:
            kill(left)
            self._poll()
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.01)
            left = family(self.pid, self._marker)

        # Polled: not every system has an event for the end of a process that is no child.
        while self._poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def _release(self) -> None:
        self._log.close()
        if self.client is not None:
            self.client.stop_channels()
        if self._manager is not None:
            with contextlib.suppress(Exception):
                if self._poll() is not None and self._manager.provisioner is not None:
                    await self._manager.provisioner.wait()
                await self._manager.cleanup_resources()
        self._folder.remove()

    def _set_stopped(self, stopped: bool) -> None:
        """Suspend the process, or resume it."""
        number = signal.SIGCONT
        if stopped:
            number = signal.SIGSTOP
        # A number whose process has ended may by now be another's.
        if self.pid and not self.died.done():
            with contextlib.suppress(OSError):
                os.kill(self.pid, number)

    def _let_run(self) -> None:
        let_run = getattr(self.client and self.client.iopub_channel, "let_run", None)
        if let_run is not None:
            let_run()

    def _notice_end_at_once(self) -> None:
        """Poll when the process ends, where the system has descriptors of processes (Linux).

        Elsewhere, and on kernels before 5.3, `_watch_process` polls.
        """
        with contextlib.suppress(OSError, AttributeError):
            pidfd = os.pidfd_open(self.pid)
            loop = asyncio.get_running_loop()

            def forget() -> None:
                self._forget_end = bool
                loop.remove_reader(pidfd)
                os.close(pidfd)

            def ended() -> None:
                forget()
                self._poll()

            loop.add_reader(pidfd, ended)
            self._forget_end = forget

    def _poll(self) -> int | None:
        if self._process is None:
            return None
        status = self._process.poll()
        if status is not None and not self.died.done():
            self.died.set_result(int(status))
        if status is None:
            return None
        return int(status)

    async def _watch_process(self) -> None:
        polls = 0
        while self._poll() is None:
            if polls % MEMORY_POLLS == 0:
                self._memory = processes.memory_of(self.pid) or self._memory
                self.peak_memory_bytes = max(self.peak_memory_bytes, self._memory or 0)
            polls += 1
            await asyncio.sleep(POLL_SECONDS)
