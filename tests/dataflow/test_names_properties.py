"""Name analysis compared with what really happens when random programs run."""

from __future__ import annotations

import contextlib
import os
import random
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from nbci.dataflow.code import CellSyntaxError, ParsedCell, parse_cell
from nbci.dataflow.names import Names, names_of
from tests.dataflow.random_programs import NAMES, Given, Programs, Recording, with_globals

EXAMPLES = int(os.environ.get("NBCI_SOAK_EXAMPLES", "300"))
WORLD = {"suppress": contextlib.suppress, "apply": lambda function: (function(), function)[1]}


def a_program(seed: int) -> tuple[str, list[ParsedCell]]:
    chance = random.Random(seed)  # for variety, not for secrecy
    while True:
        text = with_globals(Programs(chance).program(), chance)
        try:
            whole = parse_cell(text)
        except CellSyntaxError:
            continue
        note(text)
        return text, [whole]


def run(text: str, given_names: tuple[str, ...] = NAMES) -> tuple[Recording, BaseException | None]:
    outside: dict[str, Any] = {
        name: Given(random.Random(len(name)).randint(0, 1)) for name in given_names
    }  # as above
    namespace = Recording(outside)
    namespace.update(WORLD)
    try:
        exec(
            compile(text, "<program>", "exec", dont_inherit=True), namespace
        )  # the point of the test
    except Exception as error:  # noqa: BLE001  # whatever a random program raises
        return namespace, error
    return namespace, None


def bound_at_end(namespace: Recording) -> set[str]:
    missing = object()
    return {
        name
        for name in NAMES
        if dict.get(namespace, name, missing) is not namespace.given.get(name, missing)
    } & set(namespace)


def check_reads(names: Names, namespace: Recording) -> None:
    assert namespace.read <= names.needs or names.uncertain


def check_bindings(names: Names, namespace: Recording) -> None:
    bound = bound_at_end(namespace)
    assert bound <= names.binds or names.uncertain
    assert names.surely_binds <= set(namespace)
    assert not names.unbinds & set(namespace)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(min_value=0, max_value=10**9))
def test_analysis_agrees_with_the_run(seed: int) -> None:
    text, cells = a_program(seed)
    names = names_of(cells)
    namespace, error = run(text)
    check_reads(names, namespace)
    if error is None:
        check_bindings(names, namespace)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_surely_needed_fails_without_it(seed: int) -> None:
    text, cells = a_program(seed)
    for name in sorted(names_of(cells).surely_needs & set(NAMES)):
        _, error = run(text, tuple(other for other in NAMES if other != name))
        note(f"without {name}: {error!r}")
        assert error is not None


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(min_value=0, max_value=10**9))
def test_a_program_that_finds_all_it_needs_runs_as_with_everything(seed: int) -> None:
    text, cells = a_program(seed)
    names = names_of(cells)
    _, error = run(text, tuple(name for name in NAMES if name in names.needs))
    if isinstance(error, NameError) and not names.uncertain:
        assert isinstance(run(text)[1], NameError)
