"""One kernel from its start to the end of its last grandchild."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import os
import signal
import time
import uuid
from typing import TYPE_CHECKING, Any

from nbci.errors import InfrastructureError
from nbci.kernels import processes
from nbci.kernels.family import MARKER, family, kill
from nbci.kernels.private import private_folder
from nbci.kernels.specs import spec_manager, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

    from nbci.kernels.job import KernelJob
    from nbci.kernels.zygote.zygotes import Zygotes
    from nbci.secrets import Mask

START_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05
CHILDREN_SECONDS = 0.5
FAMILY_SECONDS = 2.0
MEMORY_POLLS = 5
LOG_TAIL_CHARACTERS = 8000
READ_BYTES = 1 << 16
MOST_MESSAGES = 16
"""Messages that may wait in nbci's own process, before the kernel's queue fills."""

LAST_WORDS_SECONDS = 1.0
WELCOME = "iopub_welcome"
"""The first message to a client whose subscription has arrived; older kernels send none."""

quiet = logging.getLogger("nbci.kernels.quiet")
quiet.addHandler(logging.NullHandler())
quiet.propagate = False


class StartFailed(Exception):
    """No kernel came up; the message says why."""


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
        self._manager = self._new_manager()
        await self._launch(self._manager)

        self._process = getattr(self._manager.provisioner, "process", None)
        self._oom_kills = processes.out_of_memory_kills(self.pid)
        self._watch = asyncio.ensure_future(self._watch_process())
        self._notice_end_at_once()

        self.client = self._new_client(self._manager)
        self._limit_queue()
        # No heartbeat: the process itself is watched, which tells of its end sooner.
        self.client.start_channels(hb=False)
        self.client.allow_stdin = False
        await self._wait_until_ready()

        begin = getattr(self.client.iopub_channel, "begin", None)
        if begin is not None:
            begin(self._set_stopped)

    async def _launch(self, manager: AsyncKernelManager) -> None:
        arguments = []
        if self._job.language == "python":
            # Steps leave nothing in the user's own history of IPython.
            arguments = ["--HistoryManager.hist_file=:memory:"]
        try:
            await _start(
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

    def _new_manager(self) -> AsyncKernelManager:
        specs = spec_manager()
        from jupyter_client.manager import AsyncKernelManager

        manager = AsyncKernelManager(
            kernel_name=self._job.kernel_name, kernel_spec_manager=specs, log=quiet
        )
        if self._job.interpreter is not None:
            # By its name, the manager would find installed kernels only.
            manager._kernel_spec = spec_of(self._job)  # noqa: SLF001
        manager.connection_file = str(self._folder.path / "kernel.json")
        # Sockets in a private folder, where their path fits: ports could be taken by others between
        # their choice and the kernel's bind, and every user of the machine can connect to them.
        if self._folder.is_short:
            manager.transport = "ipc"
            manager.ip = str(self._folder.path / "k")
        if self._zygotes is not None:
            manager.provisioner = self._provisioner(manager, self._zygotes)
        return manager

    def _provisioner(self, manager: AsyncKernelManager, zygotes: Zygotes) -> Any:
        from nbci.kernels.zygote.environment_first import changes_environment_first, import_folders
        from nbci.kernels.zygote.imports import imports_of
        from nbci.kernels.zygote.provisioner import ZygoteProvisioner

        provisioner = ZygoteProvisioner(
            kernel_id=self._marker, kernel_spec=manager.kernel_spec, parent=manager
        )
        provisioner.zygotes = zygotes
        if self._job.language == "python":
            sources = [cell.source for cell in self._job.cells]
            provisioner.preloads = imports_of(sources)
            folders = import_folders(self._job.cwd, dict(self._job.env))
            provisioner.bare = changes_environment_first(sources, folders)
        return provisioner

    def _new_client(self, manager: AsyncKernelManager) -> AsyncKernelClient:
        from nbci.kernels.channels import PatientChannel, StoppingChannel

        client = manager.client()
        client.shell_channel_class = PatientChannel
        iopub: Any = StoppingChannel
        if self._waits_for_room():
            iopub = PatientChannel
        client.iopub_channel_class = iopub
        return client

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

    def _waits_for_room(self) -> bool:
        """Whether it is ipykernel; there are other kernels for Python, such as xeus-python."""
        spec = self.manager.kernel_spec
        if self._job.language != "python" or spec is None:
            return False
        return any("ipykernel" in word for word in spec.argv)

    def _limit_queue(self) -> None:
        """Let no output be dropped, however fast it comes; must precede the connection.

        ipykernel waits until there is room, see `inkernel.streams`. Others drop what finds none,
        and are stopped.
        """
        import zmq

        if self.client is None or self.client.iopub_channel.socket is None:
            return
        most = 0  # no limit
        if self._waits_for_room():
            most = MOST_MESSAGES
        self.client.iopub_channel.socket.setsockopt(zmq.RCVHWM, most)

    async def _wait_until_ready(self) -> None:
        """Ask until the kernel has replied, and a message came on iopub, too.

        Before that the subscription may not have arrived, and outputs would be missed.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        asked = self.greetings
        has_replied = is_subscribed = False

        while not (has_replied and is_subscribed):
            if self.died.done():
                status = self.died.result()
                raise StartFailed(
                    f"the kernel's process ended with status {status} before it was ready"
                )
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"the kernel did not answer within {START_TIMEOUT_SECONDS:g} seconds"
                )

            # One that has replied without a message on iopub is asked again: that one was lost.
            if not asked or has_replied:
                asked.add(self._ready_client().kernel_info())
            has_replied = has_replied or await self._reads_reply(asked)
            is_subscribed = is_subscribed or await self._hears_iopub(asked)

    def _ready_client(self) -> AsyncKernelClient:
        if self.client is None:
            raise StartFailed("the kernel has no client")
        return self.client

    async def _reads_reply(self, asked: set[str]) -> bool:
        from queue import Empty

        try:
            reply = await self._ready_client().get_shell_msg(timeout=POLL_SECONDS)
        except Empty:
            return False
        if reply["parent_header"].get("msg_id") not in asked:
            return False
        self.language_info = dict(reply["content"].get("language_info") or {})
        return True

    async def _hears_iopub(self, asked: set[str]) -> bool:
        from queue import Empty

        try:
            message = await self._ready_client().get_iopub_msg(timeout=POLL_SECONDS / 5)
        except Empty:
            return False
        return message["msg_type"] == WELCOME or message["parent_header"].get("msg_id") in asked

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


async def _start(manager: AsyncKernelManager, **launch: Any) -> None:
    """Start a kernel without the 10 ms that jupyter_client sleeps after it for its own tests."""
    decorated = type(manager).start_kernel
    await getattr(decorated, "__wrapped__", decorated)(manager, **launch)


class KernelLog:
    """A kernel's own stdout and stderr: read through a pipe, masked, written to a file."""

    def __init__(self, path: Path, mask: Mask, on_text: Callable[[str], None]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise InfrastructureError(
                f"the kernel's log {path} cannot be written: {error.strerror}"
            ) from error
        self._source, self.sink = os.pipe()
        os.set_blocking(self._source, False)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._mask = mask.stream()
        self._on_text = on_text
        self._open = True
        self.tail = ""
        asyncio.get_running_loop().add_reader(self._source, self._read)

    def close_sink(self) -> None:
        """Close nbci's own copy of the pipe's writing end."""
        os.close(self.sink)

    def close(self) -> None:
        """Read what is left and finish."""
        if not self._open:
            return
        # With a limit: a process that escaped the kernel's end may go on writing.
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while self._read() and time.monotonic() < deadline:
            pass
        asyncio.get_running_loop().remove_reader(self._source)
        os.close(self._source)
        self._keep(self._mask.feed(self._decoder.decode(b"", final=True)) + self._mask.flush())
        self._file.close()
        self._open = False

    def _read(self) -> bool:
        try:
            data = os.read(self._source, READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._keep(self._mask.feed(self._decoder.decode(data)))
        else:
            asyncio.get_running_loop().remove_reader(self._source)
        return bool(data)

    def _keep(self, text: str) -> None:
        if text:
            self._file.write(text)
            self._file.flush()
            self.tail = (self.tail + text)[-LOG_TAIL_CHARACTERS:]
            self._on_text(text)
