"""What is held while a step runs, to see whether what it gives depends on that.

Only where a step is tried for the cause of a difference; before the first of its cells.
"""

from __future__ import annotations

import datetime
import gc
import itertools
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from . import arrivals
from .network_traces import INTERNET, family_name, own_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MACHINERY = frozenset(
    (
        *("asyncio", "comm", "IPython", "ipykernel", "jupyter_client", "logging"),
        *("threading", "tornado", "traitlets", "zmq"),
    )
)
"""Packages by which the kernel works: they go by the true time."""
TICK_SECONDS = 0.001
DAY_SECONDS = 86400


def hold_random() -> None:
    """Seed Python's generator, and those that are made without a seed."""
    import random

    of_instance, of_module = random.Random.seed, random.seed
    seeds = itertools.count()

    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        if a is None:
            a = next(seeds)
        of_instance(self, a, version)

    def seed_global(a: Any = None, version: int = 2) -> None:
        if a is None:
            a = next(seeds)
        of_module(a, version)

    random.Random.seed = seed  # type: ignore[method-assign]
    # Bound to the one generator that is always there, and so not that of the class.
    random.seed = seed_global
    random.seed(0)


def hold_numpy() -> None:
    """Seed numpy's generator as soon as it is there, and those that are made without a seed."""
    arrivals.watch("numpy.random", seed_numpy)


def seed_numpy(random: Any) -> None:
    import random as of_python

    random.seed(0)
    # where `default_rng()` and the like take what makes each of them another
    random.bit_generator.randbits = of_python.Random(0).getrandbits


def hold_torch() -> None:
    """Seed torch's generators as soon as they are there."""
    arrivals.watch("torch", lambda torch: torch.manual_seed(0))


class Clock:
    """A clock that stands at the last midnight, and goes on with each look at it.

    So code that waits for a time does not wait for ever.
    """

    def __init__(self) -> None:
        now = time.time()
        self.seconds = now - now % DAY_SECONDS
        self.of_process = 0.0

    def look(self) -> float:
        """The time, in seconds since the epoch."""
        self.pass_by(TICK_SECONDS)
        return round(self.seconds, 6)

    def measure(self) -> float:
        """The seconds since it was made."""
        self.pass_by(TICK_SECONDS)
        return round(self.of_process, 6)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
        self.of_process += seconds


def hold_clock() -> None:
    """Have all but the kernel's own machinery go by a clock that is the same in each run."""
    clock = Clock()
    for name in ("time", "time_ns"):
        setattr(time, name, held(getattr(time, name), clock.look, in_ns=name.endswith("_ns")))
    for name in ("perf_counter", "process_time", "thread_time"):
        for full in (name, name + "_ns"):
            measure = held(getattr(time, full), clock.measure, in_ns=full.endswith("_ns"))
            setattr(time, full, measure)
    hold_local_times(clock)
    hold_dates(clock)
    hold_sleep(clock)


def is_of_machinery(frame: Any) -> bool:
    """Whether code of the kernel's own asks."""
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in MACHINERY or name.startswith("_nbci")


def held(true: Any, look: Callable[[], float], *, in_ns: bool = False) -> Any:
    """The function of `time`, which the machinery is answered as ever."""

    def tell() -> Any:
        if is_of_machinery(sys._getframe(1)):
            return true()
        if in_ns:
            return round(look() * 1e9)
        return look()

    tell.__name__ = true.__name__
    return tell


def hold_local_times(clock: Clock) -> None:
    """Those functions of `time` that take the present time where they are given none."""
    localtime, strftime, asctime = time.localtime, time.strftime, time.asctime
    for name in ("gmtime", "localtime", "ctime"):
        setattr(time, name, with_time(getattr(time, name), clock))

    def now(frame: Any) -> Any:
        if is_of_machinery(frame):
            return localtime()
        return localtime(clock.look())

    def held_strftime(form: str, when: Any = None) -> str:
        return strftime(form, when or now(sys._getframe(1)))

    def held_asctime(when: Any = None) -> str:
        return asctime(when or now(sys._getframe(1)))

    time.strftime = held_strftime
    time.asctime = held_asctime


def with_time(true: Any, clock: Clock) -> Any:
    """The function of `time`, which takes the held time where it is given none."""

    def tell(seconds: Any = None) -> Any:
        if seconds is None and not is_of_machinery(sys._getframe(1)):
            seconds = clock.look()
        return true(seconds)

    tell.__name__ = true.__name__
    return tell


def hold_sleep(clock: Clock) -> None:
    true = time.sleep

    def sleep(seconds: Any) -> None:
        true(seconds)
        if not is_of_machinery(sys._getframe(1)):
            clock.pass_by(float(seconds))

    time.sleep = sleep


def hold_dates(clock: Clock) -> None:
    """Have `datetime.now()` and `today()` tell the held time.

    The classes stay as they are, since values and other modules know them by their identity: what
    is replaced is in their own dictionaries, which Python shows read-only.
    """
    import ctypes

    kind, day = datetime.datetime, datetime.date
    utc = datetime.timezone.utc  # noqa: UP017  # the other name came with Python 3.11
    now, utcnow, today = kind.now, kind.utcnow, day.today

    def held_now(cls: Any, tz: Any = None) -> Any:
        if is_of_machinery(sys._getframe(1)):
            return now(tz)
        return cls.fromtimestamp(clock.look(), tz)

    def held_utcnow(cls: Any) -> Any:
        if is_of_machinery(sys._getframe(1)):
            return utcnow()
        return cls.fromtimestamp(clock.look(), utc).replace(tzinfo=None)

    def held_today(cls: Any) -> Any:
        if is_of_machinery(sys._getframe(1)):
            return today()
        return cls.fromtimestamp(clock.look())

    methods = gc.get_referents(kind.__dict__)[0]
    methods.update(now=classmethod(held_now), utcnow=classmethod(held_utcnow))
    methods["today"] = classmethod(held_today)
    gc.get_referents(day.__dict__)[0]["today"] = classmethod(held_today)
    for changed in (kind, day):
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(changed))


class Entries:
    """What `os.scandir` gives, in another order."""

    def __init__(self, entries: Any, *, reverse: bool) -> None:
        with entries:
            self._entries: Iterator[Any] = iter(
                sorted(entries, key=lambda entry: entry.name, reverse=reverse)
            )

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def hold_file_order(*, reverse: bool = False) -> None:
    """Have folders list their files by name; `glob`, `pathlib` and `os.walk` ask these two."""
    listdir, scandir = os.listdir, os.scandir

    def ordered_listdir(path: Any = ".") -> Any:
        return sorted(listdir(path), reverse=reverse)

    def ordered_scandir(path: Any = ".") -> Any:
        return Entries(scandir(path), reverse=reverse)

    os.listdir = ordered_listdir
    os.scandir = ordered_scandir


def cut_network() -> None:
    """Refuse connections to all servers that the step does not run itself."""

    def refuse(event: str, arguments: Any) -> None:
        if event not in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            return
        connecting, address = arguments[0], arguments[1]
        if address is None or family_name(connecting) not in INTERNET:
            return
        if address[1] not in own_ports():
            raise OSError(101, "the network is cut, to see whether the step depends on it")

    sys.addaudithook(refuse)


HOLDS: dict[str, Callable[[], None]] = {
    "random": hold_random,
    "numpy": hold_numpy,
    "torch": hold_torch,
    "clock": hold_clock,
    "file order": hold_file_order,
    "file order reversed": lambda: hold_file_order(reverse=True),
    "network": cut_network,
}


def install(names: list[str]) -> None:
    for name in names:
        HOLDS[name]()
