"""The state of the global random generators: a step begins with what the one before it left, and
hands on its own.

Nobody can tell from code who draws from them, so it is seen: at a step's end, by whether the state
has changed. A state that nobody seeded is not handed on: it stays as unpredictable as in a notebook
that is not cut.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import sys
from typing import Any

from . import arrivals, traces
from .forms import Refused
from .value_files import Files, Mapped, Stream

PREFIX = "random state of "
"""How the names of these values begin; no variable has such a name."""
NO_SEED = 1 << 32
"""Seeds that people choose are smaller; torch draws its own from 53 or 64 bits."""
WORDS_AN_IMPORT = 2

known: set[str] = set()
"""The modules that every kernel has."""
begun: dict[str, bytes] = {}
"""Each generator's state before the step's own cells, by its module."""
incoming: dict[str, bytes] = {}
"""What came from earlier steps."""
seeded: dict[str, bool] = {}
"""Whether somebody set the state last, or asked for an unpredictable one, where that was seen."""


class Random:
    """The generator behind `random.random()` and the like."""

    module = "random"

    def prepare(self, random: Any) -> None:
        note_calls(self.module, random, "seed", seeds=True)
        note_calls(self.module, random, "setstate", seeds=False)

    def read(self, random: Any) -> bytes:
        return pickle.dumps(random.getstate(), 4)

    def write(self, random: Any, state: bytes) -> None:
        random.setstate(pickle.loads(state))

    def is_seeded(self, random: Any) -> bool:
        return seeded.get(self.module, False)

    def is_of_imports(self, random: Any, start: bytes, state: bytes) -> bool:
        """Whether no more was drawn than modules draw once, when they are imported (rich, for the
        ids of styles).
        """
        drawers = [
            module
            for name, module in list(sys.modules.items())
            if name not in known and holds(random, module)
        ]
        generator = random.Random()
        generator.setstate(pickle.loads(start))
        for _ in range(WORDS_AN_IMPORT * len(drawers)):
            generator.getrandbits(32)
            if pickle.dumps(generator.getstate(), 4) == state:
                return True
        return False


class NumpyRandom:
    """The generator behind `numpy.random.rand()`; scikit-learn, pandas and scipy use it where they
    are given none.
    """

    module = "numpy.random"

    def prepare(self, random: Any) -> None:
        note_calls(self.module, random, "seed", seeds=True)
        note_calls(self.module, random, "set_state", seeds=False)

    def read(self, random: Any) -> bytes:
        return pickle.dumps(random.get_state(legacy=False), 4)

    def write(self, random: Any, state: bytes) -> None:
        found = pickle.loads(state)
        if random.get_state(legacy=False)["bit_generator"] != found["bit_generator"]:
            random.set_bit_generator(getattr(random, found["bit_generator"])())
        random.set_state(found)

    def is_of_imports(self, random: Any, start: bytes, state: bytes) -> bool:
        return False

    def is_seeded(self, random: Any) -> bool:
        """Also by somebody who took `seed` before it was watched: numpy forgets the entropy that it
        began with.
        """
        generator = random.mtrand._rand._bit_generator
        return seeded.get(
            self.module, generator._seed_seq is None or type(generator).__name__ != "MT19937"
        )


class Torch:
    """The generators behind `torch.rand()`: the CPU's, and the GPUs' where they are in use."""

    module = "torch"

    def prepare(self, torch: Any) -> None:
        """Its functions stay as they are: TorchScript knows them by their identity."""

    def read(self, torch: Any) -> bytes:
        gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        state = [
            torch.initial_seed(),
            numbers(torch.get_rng_state()),
            [numbers(gpu) for gpu in gpus],
        ]
        return pickle.dumps(state, 4)

    def write(self, torch: Any, state: bytes) -> None:
        """A GPU that is not in use yet gets its state, or the seed, when it first is; torch sees to
        that.
        """
        seed, cpu, gpus = pickle.loads(state)
        torch.manual_seed(seed)
        torch.set_rng_state(torch.tensor(list(cpu), dtype=torch.uint8))
        for number, gpu in enumerate(gpus[: torch.cuda.device_count()] if gpus else ()):
            torch.cuda.set_rng_state(torch.tensor(list(gpu), dtype=torch.uint8), number)

    def is_of_imports(self, torch: Any, start: bytes, state: bytes) -> bool:
        return False

    def is_seeded(self, torch: Any) -> bool:
        return bool(torch.initial_seed() < NO_SEED)


def holds(random: Any, module: Any) -> bool:
    """Whether an installed module has a function of the global generator among its names."""
    space = getattr(module, "__dict__", {})
    if traces.is_own(str(space.get("__file__") or "<frozen")):
        return False
    return any(
        getattr(value, "__self__", None) is random._inst
        for value in list(space.values())
        if callable(value)
    )


def numbers(tensor: Any) -> bytes:
    return bytes(tensor.tolist())


GENERATORS: list[Any] = [Random(), NumpyRandom(), Torch()]


def note_calls(module: str, holder: Any, name: str, seeds: bool) -> None:
    """Note calls of the function that sets a generator; `seeds`: without an argument it makes it
    unpredictable.
    """
    original = getattr(holder, name)

    @functools.wraps(original)
    def noting(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        given = [value for value in [*arguments[:1], *named.values()] if value is not None]
        seeded[module] = bool(given) or not seeds
        return result

    setattr(holder, name, noting)


def install() -> None:
    """Watch the generators from before any code of the step."""
    known.update(sys.modules)
    for generator in GENERATORS:
        arrivals.watch(generator.module, functools.partial(arrived, generator))


def arrived(generator: Any, module: Any) -> None:
    """A generator is here now: it goes on from the state that came, if one did."""
    try:
        if generator.module not in begun:
            generator.prepare(module)
        if generator.module in incoming:
            generator.write(module, incoming[generator.module])
            seeded.pop(generator.module, None)
        begun[generator.module] = generator.read(module)
    except Exception:  # noqa: BLE001  # an odd version, or a module of that name that is another
        begun.pop(generator.module, None)


def begin(folder: str, states: list[Any], verified: list[str]) -> dict[str, Any]:
    """Set the generators, those that are not here yet when they come; `states` are `[name,
    digest]`.
    """
    for name, digest in states:
        try:
            loaded = Mapped(folder, digest, digest in verified).load()
        except Refused as error:
            return {"integrity": str(error), "names": [name]}
        incoming[name[len(PREFIX) :]] = loaded["state"]
    for generator in GENERATORS:
        module = arrivals.here(generator.module)
        if module is not None and generator.module in begun:
            arrived(generator, module)
    return {}


def finish(folder: str, blake3: list[str]) -> dict[str, Any]:
    """Which generators were drawn from or seeded (`drew`), which of them nobody seeded, and the
    states to hand on.
    """
    answer: dict[str, Any] = {"drew": [], "unseeded": [], "gives": []}
    files = Files(folder, blake3)
    for generator in GENERATORS:
        name, state, is_known = PREFIX + generator.module, None, False
        with contextlib.suppress(Exception):  # whatever the user's code made of the module
            state, is_known = left_by_step(generator)
        if state is None:
            continue
        answer["drew"].append(name)
        if is_known:
            stream = Stream()
            stream.write(pickle.dumps({"state": state}, 4))
            digest, size = files.write(stream)
            answer["gives"].append(
                {
                    "name": name,
                    "object": digest,
                    "bytes": size,
                    "type": "state",
                    "group": [name],
                    "refs": [],
                }
            )
        else:
            answer["unseeded"].append(name)
    answer["undigested"] = files.undigested
    return answer


def left_by_step(generator: Any) -> tuple[Any, bool]:
    """The state that the step left, None where it is what it was; and whether another run would
    leave the same.
    """
    start, module = begun.get(generator.module), arrivals.here(generator.module)
    state = generator.read(module) if start is not None and module is not None else start
    if state == start:
        return None, False
    if generator.module in incoming or generator.is_seeded(module):
        return state, True
    return (None if generator.is_of_imports(module, start, state) else state), False
