"""The generators as their modules have them; torch is a stand-in, since it weighs gigabytes."""

from __future__ import annotations

import importlib
import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nbci.inkernel.random_state import NumpyRandom, Random, Torch

if TYPE_CHECKING:
    from types import ModuleType


class Tensor(list[int]):
    """As much of torch's tensors as states need."""

    def tolist(self) -> list[int]:
        return list(self)


class FakeTorch:
    """torch with one CPU generator and two GPUs, which come into use when somebody draws there."""

    uint8 = "uint8"

    def __init__(self) -> None:
        self.seed, self.cpu, self.gpus = 1 << 60, 0, [0, 0]
        self.cuda = SimpleNamespace(
            is_initialized=lambda: any(self.gpus),
            device_count=lambda: 2,
            get_rng_state_all=lambda: [Tensor([gpu]) for gpu in self.gpus],
            set_rng_state=lambda state, number: self.gpus.__setitem__(number, state[0]),
        )

    def manual_seed(self, seed: int) -> None:
        self.seed, self.cpu, self.gpus = seed, 0, [0, 0]

    def initial_seed(self) -> int:
        return self.seed

    def get_rng_state(self) -> Tensor:
        return Tensor([self.cpu])

    def set_rng_state(self, state: Tensor) -> None:
        self.cpu = state[0]

    def tensor(self, numbers: list[int], dtype: str) -> Tensor:
        return Tensor(numbers)


def test_torch_goes_on_with_the_seed_the_cpu_and_the_gpus_in_use() -> None:
    first: Any = FakeTorch()
    assert not Torch().is_seeded(first)
    first.manual_seed(3)
    first.cpu = 5
    before = Torch().read(first)
    first.gpus = [0, 7]
    after = Torch().read(first)
    assert Torch().is_seeded(first)
    assert before != after

    for state, gpus in ((before, [0, 0]), (after, [0, 7])):
        other: Any = FakeTorch()
        Torch().write(other, state)
        assert (other.seed, other.cpu, other.gpus) == (3, 5, gpus)
        assert Torch().read(other) == state


@pytest.fixture
def fresh_numpy() -> Any:
    """numpy's random module, its generator as an import leaves it; as it was afterwards."""
    module: Any = np.random
    before = module.get_state()
    module.mtrand._rand.__init__()
    yield module
    module.mtrand._rand.__init__()
    module.set_state(before)


def test_numpy_knows_whether_anybody_seeded_it(fresh_numpy: Any) -> None:
    assert not NumpyRandom().is_seeded(fresh_numpy)
    fresh_numpy.rand(1000)
    assert not NumpyRandom().is_seeded(fresh_numpy)
    fresh_numpy.seed(0)
    state = NumpyRandom().read(fresh_numpy)
    assert NumpyRandom().is_seeded(fresh_numpy)
    drawn = fresh_numpy.randn(3).tolist()
    NumpyRandom().write(fresh_numpy, state)
    assert fresh_numpy.randn(3).tolist() == drawn


def test_what_an_import_draws_is_no_draw_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: ModuleType = importlib.import_module("rich.style")
    monkeypatch.setattr("nbci.inkernel.counted_paths.foreign", [installed.__file__ or ""])
    start = Random().read(random)
    random.getrandbits(24)  # as rich.style does, once
    assert Random().is_of_imports(random, start, Random().read(random))
    random.sample(range(999), 30)
    assert not Random().is_of_imports(random, start, Random().read(random))
