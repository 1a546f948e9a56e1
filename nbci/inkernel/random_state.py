"""The state of the global random generators: a step begins with what the one before it left.

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

from . import arrivals
from .forms import Refused
from .notes import is_own
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

reseeded: set[str] = set()
"""Modules of the generators whose state the step's own cells set: they depend on no other step."""


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
        """Whether no more was drawn than modules draw once, when they are imported.

        rich does, for the ids of styles.
        """
        drawers = 0
        for name, module in list(sys.modules.items()):
            if name not in known and holds(random, module):
                drawers += 1
        generator = random.Random()
        generator.setstate(pickle.loads(start))
        for _ in range(WORDS_AN_IMPORT * drawers):
            generator.getrandbits(32)
            if pickle.dumps(generator.getstate(), 4) == state:
                return True
        return False


class NumpyRandom:
    """The generator behind `numpy.random.rand()`.

    scikit-learn, pandas and scipy use it where they are given none.
    """

    module = "numpy.random"

    def prepare(self, random: Any) -> None:
        note_calls(self.module, random, "seed", seeds=True)
        note_calls(self.module, random, "set_state", seeds=False)

    def read(self, random: Any) -> bytes:
        return pickle.dumps(random.get_state(legacy=False), 4)

    def write(self, random: Any, state: bytes) -> None:
        found = pickle.loads(state)
        # `set_state` takes a state of the same generator only
        if random.get_state(legacy=False)["bit_generator"] != found["bit_generator"]:
            random.set_bit_generator(getattr(random, found["bit_generator"])())
        random.set_state(found)

    def is_of_imports(self, random: Any, start: bytes, state: bytes) -> bool:
        return False

    def is_seeded(self, random: Any) -> bool:
        """Whether `seed` was called, also by code that took it before it was watched."""
        generator = random.mtrand._rand._bit_generator
        # legacy seeding forgets the entropy with which numpy began; another generator was chosen
        looks_seeded = generator._seed_seq is None or type(generator).__name__ != "MT19937"
        return seeded.get(self.module, looks_seeded)


class Torch:
    """The generators behind `torch.rand()`: the CPU's, and the GPUs' where they are in use."""

    module = "torch"

    def prepare(self, torch: Any) -> None:
        """Its functions stay as they are: TorchScript knows them by their identity."""

    def read(self, torch: Any) -> bytes:
        gpus = []
        if torch.cuda.is_initialized():  # asking would initialise it, and take GPU memory
            gpus = torch.cuda.get_rng_state_all()
        cpu = bytes_of(torch.get_rng_state())
        return pickle.dumps([torch.initial_seed(), cpu, list(map(bytes_of, gpus))], 4)

    def write(self, torch: Any, state: bytes) -> None:
        """Set the seed and the states; a GPU that is not in use yet gets its own when it first is.

        torch queues what is set before CUDA is initialised (`torch.cuda._lazy_call`).
        """
        seed, cpu, gpus = pickle.loads(state)
        torch.manual_seed(seed)
        torch.set_rng_state(torch.tensor(list(cpu), dtype=torch.uint8))
        if gpus:
            gpus = gpus[: torch.cuda.device_count()]  # only then asked: it takes its time
        for number, gpu in enumerate(gpus):
            torch.cuda.set_rng_state(torch.tensor(list(gpu), dtype=torch.uint8), number)

    def is_of_imports(self, torch: Any, start: bytes, state: bytes) -> bool:
        return False

    def is_seeded(self, torch: Any) -> bool:
        return bool(torch.initial_seed() < NO_SEED)

    def is_reseeded(self, torch: Any, start: bytes) -> bool:
        """By another seed than before: calls of `manual_seed` are not watched."""
        return bool(torch.initial_seed() != pickle.loads(start)[0])


def holds(random: Any, module: Any) -> bool:
    """Whether an installed module has a function of the global generator among its names."""
    space = getattr(module, "__dict__", {})
    if is_own(str(space.get("__file__") or "<frozen")):
        return False
    functions = filter(callable, list(space.values()))
    return any(getattr(function, "__self__", None) is random._inst for function in functions)


def bytes_of(tensor: Any) -> bytes:
    return bytes(tensor.tolist())


GENERATORS: list[Any] = [Random(), NumpyRandom(), Torch()]


def note_calls(module: str, holder: Any, name: str, seeds: bool) -> None:
    """Note calls of the function that sets a generator.

    `seeds`: without an argument, it makes the generator unpredictable.
    """
    original = getattr(holder, name)

    @functools.wraps(original)
    def call_and_note(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        given = (*arguments[:1], *named.values())
        has_seed = any(value is not None for value in given)
        seeded[module] = has_seed or not seeds
        reseeded.add(module)
        return result

    setattr(holder, name, call_and_note)


def install() -> None:
    """Watch the generators from before any code of the step."""
    known.update(sys.modules)
    for generator in GENERATORS:
        arrivals.watch(generator.module, functools.partial(start_generator, generator))


def start_generator(generator: Any, module: Any) -> None:
    """Let a generator that is here now go on from the state that came, if one did."""
    try:
        if generator.module not in begun:
            generator.prepare(module)
        # `write` is no call of the user's that makes the generator a known one
        if generator.module in incoming:
            generator.write(module, incoming[generator.module])
            seeded.pop(generator.module, None)
        reseeded.discard(generator.module)
        begun[generator.module] = generator.read(module)
    except Exception:  # noqa: BLE001  # an odd version, or a module of that name that is another
        begun.pop(generator.module, None)


def begin(folder: str, states: list[Any], verified: list[str]) -> dict[str, Any]:
    """Set the generators, those that are not here yet when they come.

    `states` are `[name, digest]`.
    """
    for name, digest in states:
        try:
            loaded = Mapped(folder, digest, digest in verified).load()
        except Refused as error:
            return {"integrity": str(error), "names": [name]}
        incoming[name[len(PREFIX) :]] = loaded["state"]
    for generator in GENERATORS:
        # those that are here have begun without what came
        module = arrivals.here(generator.module)
        if module is not None and generator.module in begun:
            start_generator(generator, module)
    return {}


def finish(folder: str, blake3: list[str]) -> dict[str, Any]:
    """Which generators were drawn from or seeded (`drew`), and the states to hand on (`gives`).

    `unseeded` are those of the first that nobody seeded: their states are not handed on.
    `reseeded` are those that the step itself seeded: they depend on no step before it.
    """
    answer: dict[str, Any] = {"drew": [], "unseeded": [], "reseeded": [], "gives": []}
    files = Files(folder, blake3)
    for generator in GENERATORS:
        name = PREFIX + generator.module
        state, is_repeatable = None, False
        with contextlib.suppress(Exception):  # whatever the user's code made of the module
            state, is_repeatable = state_left_by_step(generator)
        if state is None:
            continue
        answer["drew"].append(name)
        if was_reseeded(generator):
            answer["reseeded"].append(name)
        if is_repeatable:
            answer["gives"].append(save_state(files, name, state))
        else:
            answer["unseeded"].append(name)
    answer["undigested"] = files.undigested
    return answer


def was_reseeded(generator: Any) -> bool:
    """Whether the step's own cells set the state."""
    if not isinstance(generator, Torch):
        return generator.module in reseeded
    return generator.is_reseeded(sys.modules["torch"], begun["torch"])


def save_state(files: Files, name: str, state: bytes) -> dict[str, Any]:
    stream = Stream()
    stream.write(pickle.dumps({"state": state}, 4))
    digest, size = files.write(stream)
    ref = {"name": name, "object": digest, "bytes": size, "type": "state"}
    return {**ref, "group": [name], "refs": []}


def state_left_by_step(generator: Any) -> tuple[Any, bool]:
    """The state that the step left, and whether another run would leave the same.

    None where the state is what it was, or only imports drew.
    """
    start, module = begun.get(generator.module), arrivals.here(generator.module)
    if start is None or module is None:
        return None, False
    state = generator.read(module)
    if state == start:
        return None, False
    # a known state came, so what was drawn from it is repeatable
    if generator.module in incoming or generator.is_seeded(module):
        return state, True
    if generator.is_of_imports(module, start, state):
        return None, False
    return state, False
