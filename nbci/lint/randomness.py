"""Rules about random numbers: seeds that do not reach a draw, and draws without a seed."""

from __future__ import annotations

import ast
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING

from nbci.lint.calls import calls
from nbci.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    found: dict[str, list[tuple[int, str, ast.Call]]] = {}
    for step in facts.steps:
        found[step.name] = _calls_in(facts.own_cells(step), facts.imported_names)
    drawing = _steps_that_draw(facts.steps, found)

    for place, step in enumerate(facts.steps):
        missed: dict[str, list[str]] = {}
        for number, name, call in found[step.name]:
            family = _SEEDS.get(name)
            if family is None:
                continue
            # a step may seed one generator several times; which steps miss it is found once
            if family not in missed:
                behind = _names_behind(place, drawing[family])
                missed[family] = _steps_unreached(facts, step, family, behind)
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
    cells: Mapping[int, ParsedCell], names: Mapping[str, str]
) -> list[tuple[int, str, ast.Call]]:
    """What the cells call, with the numbers of the cells."""
    found: list[tuple[int, str, ast.Call]] = []
    for number, cell in cells.items():
        for name, call in calls(cell.tree, names):
            found.append((number, name, call))
    return found


def _steps_that_draw(
    steps: Sequence[Step], found: Mapping[str, Sequence[tuple[int, str, ast.Call]]]
) -> dict[str, list[tuple[int, str]]]:
    """For each family the steps, with their places, that call functions of it and never seed it."""
    drawing: dict[str, list[tuple[int, str]]] = {family: [] for family in _SEEDS.values()}
    for place, step in enumerate(steps):
        drawn: set[str] = set()
        seeded: set[str] = set()
        # a step may call one function many times
        for name in {name for _, name, _ in found[step.name]}:
            drawn.update(_families_drawn(name))
            if name in _SEEDS:
                seeded.add(_SEEDS[name])
        for family in drawn - seeded:
            drawing[family].append((place, step.name))
    return drawing


def _families_drawn(name: str) -> Iterator[str]:
    """The families from whose generator a function of this name draws."""
    for family in _SEEDS.values():
        if _is_draw(name, family):
            yield family


def _names_behind(place: int, steps: Sequence[tuple[int, str]]) -> list[str]:
    """Those that stand behind the place; the steps are in order."""
    # found by halving, since each of many steps may seed
    return [name for _, name in steps[bisect_right(steps, place, key=itemgetter(0)) :]]


def _steps_unreached(
    facts: NotebookFacts, step: Step, family: str, drawing: Sequence[str]
) -> list[str]:
    """The steps that draw and are not given what this one seeded."""
    if not drawing or family not in _HANDED_ON:
        return list(drawing)
    unreached = dict.fromkeys(drawing)
    for other in facts.steps_after(step):
        unreached.pop(other.name, None)
    return list(unreached)


def _is_draw(name: str, family: str) -> bool:
    # most functions of torch draw nothing, so those that draw are listed
    if family == "torch.":
        return name.startswith(_TORCH_DRAWS)
    is_other = (
        name.startswith(_OWN_GENERATORS) or name.rpartition(".")[2] in _NO_DRAWS or name in _SEEDS
    )
    return name.startswith(family) and not is_other


def unseeded_draws(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield draws from a global generator of the process where no seed is seen anywhere.

    Each run then gives other numbers. The first draw by each function is reported.
    """
    found: dict[str, tuple[int, ast.Call]] = {}
    for number, name, call in _calls_in(facts.cells, facts.imported_names):
        if _is_seed(name):
            return
        if name not in found and _is_unseeded_draw(name, call):
            found[name] = number, call

    for name, (number, call) in found.items():
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
        return not any(map(_settles_draw, call.keywords))
    return not _HANDED_ON.isdisjoint(_families_drawn(name))


def _settles_draw(keyword: ast.keyword) -> bool:
    """Whether with this argument the function does not draw from the global generator."""
    match keyword:
        case ast.keyword(arg="shuffle", value=ast.Constant(value=False)):
            return True
    # `**options` (None) may hold random_state
    return keyword.arg in {None, "random_state"}
