from __future__ import annotations

import argparse

import pytest

from nbci.cli.sweep import add_arguments


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return parser.parse_args(["p.yaml", *words])


def test_a_budget_and_a_seed_are_numbers_that_make_sense() -> None:
    found = parsed("--minutes", "0.5", "--seed", "7", "--trials", "3")
    assert (found.minutes, found.seed, found.trials) == (0.5, 7, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--minutes", "0"), "not a number of minutes above 0"),
        (("--minutes", "nan"), "not a number of minutes above 0"),
        (("--minutes", "soon"), "not a number of minutes above 0"),
        (("--seed", "4294967296"), "not a number from 0 to 4294967295"),
        (("--seed", "x"), "not a number from 0"),
        (("--trials", "0"), "not a number of at least 1"),
        (("--method", "bayes"), "bayes"),
    ],
)
def test_what_is_no_budget_is_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=message):
        parsed(*words)
