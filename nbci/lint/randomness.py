"""Rules about random numbers: seeds that do not reach a draw, and draws without a seed."""

from __future__ import annotations

import ast
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING

from nbci.lint.dotted import calls, imported
from nbci.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.lint.notebook_facts import NotebookFacts
    from nbci.pipeline.model import Step

_SEEDS = {
    "random.seed": "random.",
    "numpy.random.seed": "numpy.random.",
    "torch.manual_seed": "torch.",
    "tensorflow.random.set_seed": "tensorflow.",
    "cupy.random.seed": "cupy.random.",
    "polars.set_random_seed": "polars.",
}
_HANDED_ON = frozenset({"random.", "numpy.random.", "torch."})
"""Whose state passes from step to step."""
_SEED_ALL = (
    "seed_everything",
    "set_seed",
    "set_random_seed",
    "seed_all",
    "fix_seed",
    "fix_seeds",
    "set_seeds",
)
_OWN_GENERATORS = (
    "numpy.random.default_rng",
    "numpy.random.Generator",
    "numpy.random.RandomState",
    "numpy.random.SeedSequence",
    "numpy.random.PCG64",
    "numpy.random.MT19937",
    "numpy.random.Philox",
    "numpy.random.SFC64",
    "random.Random",
    "random.SystemRandom",
)
_NO_DRAWS = frozenset(
    {"getstate", "setstate", "get_state", "set_state", "set_bit_generator", "get_bit_generator"}
)
_TORCH_DRAWS = ("torch.rand", "torch.normal", "torch.bernoulli", "torch.multinomial")
_WITHOUT_STATE = (
    "sklearn.model_selection.train_test_split",
    "sklearn.model_selection.ShuffleSplit",
    "sklearn.model_selection.StratifiedShuffleSplit",
    "sklearn.utils.shuffle",
    "sklearn.utils.resample",
    "sklearn.datasets.make_",
    "sklearn.ensemble.RandomForest",
    "sklearn.ensemble.ExtraTrees",
    "sklearn.neural_network.MLP",
    "sklearn.cluster.KMeans",
    "sklearn.cluster.MiniBatchKMeans",
)
"""What draws from numpy's global generator where it is given no `random_state`."""


def seeds(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield seeds set in one step that do not reach another step.

    The other step draws from the same generator and does not come after the seed.
    """
    names = imported(facts)
    found = {step.name: _calls_in(facts.own_cells(step), names) for step in facts.steps}
    drawing = _drawing(facts.steps, found)
    for place, step in enumerate(facts.steps):
        missed: dict[str, list[str]] = {}
        for number, name, call in found[step.name]:
            family = _SEEDS.get(name)
            if family is None:
                continue
            # a step may seed one generator several times; which steps miss it is found once
            if family not in missed:
                missed[family] = _missed(facts, step, family, _behind(place, drawing[family]))
            if not missed[family]:
                continue
            hint = "set the seed in each step"
            if family in _HANDED_ON:
                hint += ", or let the one come after the other (`prev:`)"
            yield Hit(
                message=f"`{name}` in step {step.name} does not reach "
                f"step {', '.join(missed[family])}, which draws from that generator",
                hint=hint,
                cell=number,
                line=call.lineno,
            )


def _calls_in(
    cells: Iterable[tuple[int, ParsedCell]], names: Mapping[str, str]
) -> list[tuple[int, str, ast.Call]]:
    """What the cells call, with the numbers of the cells."""
    found: list[tuple[int, str, ast.Call]] = []
    for number, cell in cells:
        for name, call in calls([cell.tree], names):
            found.append((number, name, call))
    return found


def _drawing(
    steps: Sequence[Step], found: Mapping[str, Sequence[tuple[int, str, ast.Call]]]
) -> dict[str, list[tuple[int, str]]]:
    """For each family the steps, with their places, that call functions of it and never seed it."""
    drawing: dict[str, list[tuple[int, str]]] = {family: [] for family in _SEEDS.values()}
    for place, step in enumerate(steps):
        called = {name for _, name, _ in found[step.name]}
        seeded = {_SEEDS[name] for name in called if name in _SEEDS}
        for family in drawing.keys() - seeded:
            if any(_is_draw(name, family) for name in called):
                drawing[family].append((place, step.name))
    return drawing


def _behind(place: int, steps: Sequence[tuple[int, str]]) -> list[str]:
    """Those that stand behind the place; the steps are in order."""
    return [name for _, name in steps[bisect_right(steps, place, key=itemgetter(0)) :]]


def _missed(facts: NotebookFacts, step: Step, family: str, drawing: Sequence[str]) -> list[str]:
    """The steps that draw and are not given what this one seeded."""
    if not drawing or family not in _HANDED_ON:
        return list(drawing)
    reached = {other.name for other in facts.steps_after(step)}
    return [name for name in drawing if name not in reached]


def _is_draw(name: str, family: str) -> bool:
    # most functions of torch draw nothing, so those that draw are listed
    if family == "torch.":
        return name.startswith(_TORCH_DRAWS)
    is_other = (
        name.startswith(_OWN_GENERATORS) or name.rpartition(".")[2] in _NO_DRAWS or name in _SEEDS
    )
    return name.startswith(family) and not is_other


def unseeded(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield draws from a global generator of the process where no seed is seen anywhere.

    Each run then gives other numbers. The first draw by each function is reported.
    """
    names = imported(facts)
    called = _calls_in(facts.cells.items(), names)
    if any(_is_seed(name) for _, name, _ in called):
        return
    reported: set[str] = set()
    for number, name, call in called:
        if name in reported or not _is_unseeded_draw(name, call):
            continue
        reported.add(name)
        hint = "set a seed in an early cell, or use `rng = numpy.random.default_rng(seed)`"
        if name.startswith("sklearn."):
            hint = (
                "give it `random_state=`, or a generator of your own, "
                "or set a seed in an early cell"
            )
        yield Hit(
            message=f"`{name}` draws from a generator that nothing seeds: "
            "each run gives other numbers",
            hint=hint,
            cell=number,
            line=call.lineno,
        )


def _is_seed(name: str) -> bool:
    # libraries name such functions alike, and which generators each sets is not known
    return name in _SEEDS or name.rpartition(".")[2] in _SEED_ALL


def _is_unseeded_draw(name: str, call: ast.Call) -> bool:
    if name.startswith(_WITHOUT_STATE):
        return not any(
            # `**options` (None) may hold random_state
            keyword.arg in {None, "random_state"} or _is_off(keyword)
            for keyword in call.keywords
        )
    return any(_is_draw(name, family) for family in _HANDED_ON)


def _is_off(keyword: ast.keyword) -> bool:
    return (
        keyword.arg == "shuffle"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is False
    )
