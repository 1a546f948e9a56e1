"""List the decisions on a model: when and why it was to be trained again, and what came of it.

They are read from git, where `nbci retrain` keeps them; a clone without runs has them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from nbci.records.decision import Decision, DecisionEvent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci decisions`."""
    parser.add_argument("model", metavar="M", help="the model")
    parser.add_argument(
        "--no-fetch", action="store_true", help="list what is here; do not ask `origin`"
    )
    add_json_argument(parser, "a list of what schemas/decision.schema.json describes")


def main(arguments: argparse.Namespace) -> int:
    """Print the decisions, the oldest first."""
    from nbci.config import find_project
    from nbci.git.process import open_git
    from nbci.records.codec import plain
    from nbci.registry.champion import registry_name
    from nbci.registry.decisions import fetch_decisions, read_decisions
    from nbci.registry.grammar import parse_reference

    git = open_git(find_project(Path.cwd()).root)
    model = registry_name(git, parse_reference(arguments.model).model)
    if not arguments.no_fetch:
        fetch_decisions(git, model)
    decisions = read_decisions(git, model)
    if arguments.json:
        print_json(plain(decisions), ascii_only=False)
        return 0
    for decision in decisions:
        print("\n".join(_lines(decision)))
    if not decisions:
        print(f"nothing was decided on {model} yet")
    return 0


def _lines(decision: Decision) -> Iterator[str]:
    watched = f" {decision.watched}" if decision.watched else ""
    yield f"{decision.id}  {decision.model}{watched}: {decision.state}, {_person(decision)}"
    yield f"    {one_line(decision.sentence)}"
    if decision.data is not None:
        yield f"    data: {one_line(decision.data.sentence)}"
    for event in decision.events:
        yield f"    {_event_line(event)}"


def _person(decision: Decision) -> str:
    return f"decided by {one_line(decision.by)}"


def _event_line(event: DecisionEvent) -> str:
    from nbci.formatting.durations import moment

    text = f"{one_line(moment(event.at_utc))}  {event.kind}: {one_line(event.sentence)}"
    if event.build:
        text += f" ({one_line(event.build)})"
    return text
