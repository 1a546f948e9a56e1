"""What the kernel prints: nothing is dropped, code that prints faster than nbci reads waits."""

from __future__ import annotations

import array
import codecs
import fcntl
import os
import select
import sys
import termios
import threading
from typing import Any

PIECE_CHARACTERS = 128 << 10
"""The longest text of a message, and the most that is printed before it is sent."""

MOST_MESSAGES = 32
"""How many may wait in the socket, and as many in front of it."""

READ_BYTES = 64 << 10
PATIENCE_SECONDS = 3600
"""How long a print waits for nbci.

ipykernel gives up after ten seconds, and then holds back what it has.
"""


def install() -> None:
    """Have code wait that prints faster than nbci reads."""
    from IPython import get_ipython

    kernel: Any = getattr(get_ipython(), "kernel", None)
    thread = getattr(kernel, "iopub_thread", None)
    if not hasattr(getattr(thread, "socket", None), "setsockopt"):
        return
    drop_nothing(thread)
    bound_messages(thread, getattr(kernel, "control_thread", None))
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "pub_thread", None) is thread:
            BoundedStream(stream)


def drop_nothing(thread: Any) -> None:
    """Have the socket wait when its queue is full.

    By default, PUB and XPUB sockets drop what comes then, without a word: zmq_setsockopt(3).
    """
    import zmq

    socket = thread.socket

    def set_options() -> None:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.setsockopt(zmq.SNDHWM, MOST_MESSAGES)

    thread.schedule(set_options)  # a socket belongs to one thread


def bound_messages(thread: Any, control: Any) -> None:
    """Let senders wait while many messages stand in front of the socket.

    Not the threads that must answer nbci meanwhile.
    """
    original = thread.send_multipart
    exempt = (thread.thread, control)

    def send_multipart(*args: Any, **kwargs: Any) -> Any:
        if len(thread._events) >= MOST_MESSAGES and threading.current_thread() not in exempt:
            sent = threading.Event()
            thread.schedule(sent.set)
            sent.wait(PATIENCE_SECONDS)
        return original(*args, **kwargs)

    # private to ipykernel: another version may not have it
    if hasattr(thread, "_events"):
        thread.send_multipart = send_multipart


class BoundedStream:
    """One of ipykernel's streams, which sends in pieces and reads its own descriptor.

    ipykernel reads the descriptor a thousand bytes at a time, cuts characters in two, and copies
    all to the kernel's log, where it then stands a second time.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.print = stream.write
        self.send = stream.flush
        self.pid = os.getpid()
        self.unsent = 0
        self.source = -1
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.reading = threading.RLock()
        stream.flush_timeout = PATIENCE_SECONDS
        stream.write = self.write
        stream.flush = self.flush
        if getattr(stream, "_should_watch", False):
            self.watch(stream._original_stdstream_fd)

    def write(self, string: Any) -> Any:
        """Print, behind what child processes printed before; much text waits until it is sent."""
        self.take_waiting()
        return self.print_in_pieces(string)

    def flush(self) -> None:
        """Send all that was printed, by child processes too."""
        self.take_waiting()
        self.send()

    def print_in_pieces(self, string: Any) -> Any:
        if not isinstance(string, str) or len(string) <= PIECE_CHARACTERS:
            written = self.print(string)  # raises TypeError for what is no text
            self.unsent += written or 0
            if self.unsent >= PIECE_CHARACTERS:
                self.unsent = 0
                self.send()
            return written
        for place in range(0, len(string), PIECE_CHARACTERS):
            self.print_in_pieces(string[place : place + PIECE_CHARACTERS])
        return len(string)

    def watch(self, descriptor: int) -> None:
        """Put a pipe of our own in the place of ipykernel's, which then stays empty."""
        self.source, sink = os.pipe()
        os.set_blocking(self.source, False)
        os.dup2(sink, descriptor)
        os.close(sink)
        threading.Thread(
            target=self.read_descriptor, name="nbci-" + self.stream.name, daemon=True
        ).start()

    def read_descriptor(self) -> None:
        """Take what comes, as long as somebody can write."""
        poller = select.poll()
        poller.register(self.source, select.POLLIN)
        while True:
            ((_, event),) = poller.poll()
            with self.reading:
                self.take_some()
                rest = self.waiting_bytes()
            if not rest:
                self.send()  # at once: it may be the last word of native code before a crash
            if not rest and not event & select.POLLIN:
                return

    def take_waiting(self) -> None:
        """Take what waits in the pipe now."""
        # a child process that was forked has the pipe, too: only the kernel reads it
        if self.source < 0 or os.getpid() != self.pid or not self.waiting_bytes():
            return
        if threading.current_thread() is getattr(self.stream.pub_thread, "thread", None):
            return  # a finalizer prints there: the reader may wait for that very thread
        with self.reading:
            for _ in range(0, self.waiting_bytes(), READ_BYTES):
                self.take_some()

    def waiting_bytes(self) -> int:
        """How many bytes wait in the pipe."""
        size = array.array("i", [0])
        fcntl.ioctl(self.source, termios.FIONREAD, size, True)
        return size[0]

    def take_some(self) -> None:
        """Print some of what waits in the pipe; nothing when somebody else has taken it."""
        try:
            text = self.decoder.decode(os.read(self.source, READ_BYTES))
        except BlockingIOError:
            return
        if text:
            self.print_in_pieces(text)
