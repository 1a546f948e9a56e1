"""The processes that a zygote forked: kernels, and spares that wait to become some."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import time
import traceback
from typing import TYPE_CHECKING, Any

from _nbci_zygote import child, memory, wire
from _nbci_zygote.family import family, kill

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_SECONDS = 10.0
"""How long a client or a forked process may take to read what is sent to it."""


class Order:
    """A kernel that a client asked for; the descriptors are the order's until it is closed."""

    def __init__(
        self, request: dict[str, Any], connection: socket.socket, descriptors: list[int]
    ) -> None:
        self.request = request
        self.connection = connection
        self.descriptors = descriptors
        self.marker: str = request["env"].get("NBCI_KERNEL", "")

    def close_descriptors(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []


class Kernel:
    """A forked process. It has an order, or is a spare; `link` leads to the process."""

    def __init__(self, pid: int, link: socket.socket, order: Order | None, folder: str) -> None:
        self.pid = pid
        self.link: socket.socket | None = link
        self.order = order
        self.folder = folder
        self.offer: dict[str, Any] | None = None
        self.is_free = False
        self.is_taken = False

    def kill(self) -> None:
        """Kill it and its group at once."""
        self.is_free = False
        for end in (os.killpg, os.kill):
            with contextlib.suppress(OSError):
                end(self.pid, signal.SIGKILL)

    def kill_family(self) -> None:
        """Kill it and all that it started; with a marker, also what left its session and parent."""
        marker = ""
        if self.order is not None:
            marker = self.order.marker
        # the family is found before its head is killed: then its children have another parent
        pids = family(self.pid, marker)
        self.kill()
        kill(pids)


class ForkPool:
    """Forks kernels, hands them over and reaps them; keeps spares for the next order.

    `settings` are those of the zygote: how many spares, and with which arguments the first one is
    started; each order's arguments are then those of the next spare.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        folder: str,
        settings: dict[str, Any],
        begin: Callable[[dict[str, Any]], None],
    ) -> None:
        """`begin` is called in each kernel when it has taken its order."""
        self.kernels: dict[int, Kernel] = {}
        self.served = 0
        self.last_use = time.monotonic()
        self.close_in_child: list[Any] = []
        self._selector = selector
        self._folder = folder
        self._begin = begin
        self._count = 0
        self._spares_wanted: int = settings["spares"]
        self._spare_argv: list[str] | None = settings["spare_arguments"]
        self._is_plain = True

    @property
    def owned(self) -> list[Kernel]:
        return [kernel for kernel in self.kernels.values() if kernel.order is not None]

    @property
    def spares(self) -> list[Kernel]:
        return [kernel for kernel in self.kernels.values() if kernel.order is None]

    # ------------------------------------------------------------------------------ orders

    def deliver(self, order: Order) -> None:
        """Give a spare that is ready, or fork."""
        self.last_use = time.monotonic()
        argv = without_connection_file(order.request["argv"])
        fits = order.request["spare"] and argv == self._spare_argv
        self._spare_argv = argv
        if fits:
            for kernel in self.spares:
                if kernel.is_free and self._hand_over(kernel, order):
                    return
        self._fork_for(order)

    def _hand_over(self, kernel: Kernel, order: Order) -> bool:
        """Offer a spare its order; the client is answered when the spare says that it has it.

        Until then the spare may be killed, and the order gets another kernel (`_handle_exit`).
        """
        try:
            wire.send(kernel.link, order.request, order.descriptors)
        except OSError:
            kernel.kill()
            return False
        kernel.is_free = False
        kernel.order = order
        return True

    def _fork_for(self, order: Order) -> None:
        kernel = self._fork(order.request["argv"], order, "")
        self._answer(kernel, order)

    def _answer(self, kernel: Kernel, order: Order) -> None:
        """Send the client the process, as a pidfd: a pid alone may be another's by then."""
        kernel.is_taken = True
        self.served += 1
        order.close_descriptors()
        order.connection.settimeout(ANSWER_SECONDS)
        pidfd = os.pidfd_open(kernel.pid)
        answer = {"pid": kernel.pid, "zygote": os.getpid(), "connection": kernel.offer}
        try:
            wire.send(order.connection, answer, [pidfd])
        except OSError:
            kernel.kill()
        finally:
            os.close(pidfd)
        # the client sends nothing more: what can be read is the end of its connection
        self._selector.register(
            order.connection, selectors.EVENT_READ, lambda _: self.end_kernel(kernel)
        )

    # ------------------------------------------------------------------------------ spares

    def drop_spares(self) -> None:
        """Kill the spares, which lack what was imported since they were forked."""
        for kernel in self.spares:
            kernel.kill()

    def fill_spares(self) -> None:
        """Fork what will be asked for next, one at a time."""
        if self._spare_argv is None or not self._is_plain:
            return
        if len(self.spares) >= self._spares_wanted:
            return
        self._count += 1
        folder = os.path.join(self._folder, str(self._count))
        os.mkdir(folder, 0o700)
        file = os.path.join(folder, "kernel.json")
        address = "--ip=" + os.path.join(folder, "k")
        self._fork(["-f", file, "--transport=ipc", address, *self._spare_argv], None, folder)

    # ------------------------------------------------------------------------------ fork

    def _fork(self, argv: list[str], order: Order | None, folder: str) -> Kernel:
        ours, theirs = socket.socketpair()
        memory.before_fork()
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._run_child(argv, zygote, theirs, order)
        theirs.close()
        ours.settimeout(ANSWER_SECONDS)
        kernel = self.kernels[pid] = Kernel(pid, ours, order, folder)
        self._selector.register(
            ours, selectors.EVENT_READ, lambda link: self._read_message(kernel, link)
        )
        return kernel

    def _run_child(
        self, argv: list[str], zygote: int, link: socket.socket, order: Order | None
    ) -> None:
        """The child's whole life; does not return."""
        try:
            # first of all: a signal would be written to the zygote's own socket
            signal.set_wakeup_fd(-1)
            child.detach(zygote)
            self._close_inherited(order)
            if order is not None:
                descriptors = [os.dup(number) for number in order.descriptors]
                app = child.make_ordered(argv, link, order.request, descriptors, self._begin)
            else:
                app = child.make_spare(argv, link, self._begin)
            link.close()
            app.start()
        except SystemExit as error:
            os._exit(child.exit_status(error, otherwise=1))
        except BaseException:  # noqa: BLE001  # the traceback goes to the kernel's log
            traceback.print_exc(file=child.sys.__stderr__)
            os._exit(1)
        child.finish(app)

    def _close_inherited(self, order: Order | None) -> None:
        """Close what belongs to the zygote and to other kernels.

        A connection that a fork keeps open does not end when its client does.
        """
        self._selector.close()
        for end in self.close_in_child:
            end.close()
        if order is not None:
            order.connection.close()
        for kernel in self.kernels.values():
            if kernel.link is not None:
                kernel.link.close()
            if kernel.order is not None:
                kernel.order.connection.close()
                kernel.order.close_descriptors()

    def _read_message(self, kernel: Kernel, link: Any) -> None:
        """Handle what a forked process sends.

        A kernel's sockets are bound, a spare has taken its order, or its end was closed.
        """
        try:
            message, _ = wire.receive(link)
        except (OSError, ValueError, wire.Gone):
            self._selector.unregister(link)
            link.close()
            kernel.link = None
            return

        if "offer" in message:
            kernel.offer = message["offer"]
            kernel.is_free = True
        self._is_plain = self._is_plain and message.get("plain", True)

        order = kernel.order
        if order is None:
            if not self._is_plain:
                kernel.kill()
            return
        if not kernel.is_taken:
            self._answer(kernel, order)
        with contextlib.suppress(OSError):
            wire.send(order.connection, {"ready": True})

    # ------------------------------------------------------------------------------ ends

    def end_kernel(self, kernel: Kernel) -> None:
        """End a kernel whose client has closed its connection, with all that it started."""
        if kernel.order is not None:
            kernel.kill_family()
            self._close_order(kernel.order)
            kernel.order = None
        kernel.kill()

    def _close_order(self, order: Order) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(order.connection)
        order.close_descriptors()
        order.connection.close()

    def reap(self) -> None:
        """Take note of all that ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # other children are what kernels left: this process is their subreaper
            kernel = self.kernels.pop(pid, None)
            if kernel is not None:
                self._handle_exit(kernel, os.waitstatus_to_exitcode(status))

    def _handle_exit(self, kernel: Kernel, code: int) -> None:
        self.last_use = time.monotonic()
        kernel.kill()  # what it left in its group
        order = kernel.order
        if order is None:
            if code > 0 and kernel.offer is None:
                self._is_plain = False  # a spare that cannot start is not tried again
        elif not kernel.is_taken:
            self._fork_for(order)  # the spare died while it was handed over
        else:
            with contextlib.suppress(OSError):
                wire.send(order.connection, {"exit": code})
            self._close_order(order)
        if kernel.folder:
            shutil.rmtree(kernel.folder, ignore_errors=True)

    def end_all(self, orphans: bool) -> None:
        """End all of them; with `orphans`, everything that descends from here."""
        for kernel in list(self.kernels.values()):
            self.end_kernel(kernel)
        # again until there is none: a process may have forked after it was listed
        while orphans and (left := family(os.getpid(), "")):
            kill(left)
            _wait_for(left)
        _wait_for(set(self.kernels))


def _wait_for(pids: set[int]) -> None:
    for pid in pids:
        # Only this process can: one that is no child yet becomes one when its parent ends.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def without_connection_file(argv: list[str]) -> list[str]:
    """The kernel's arguments but for its connection file."""
    if "-f" not in argv:
        return argv[:]
    place = argv.index("-f")
    return argv[:place] + argv[place + 2 :]
