"""List from git tags who promoted, overrode, rolled back or deployed what, when, by which build.

The tags are all that is read: a clone without runs has the whole history.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from nbci.registry.queries import HistoryEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci audit`."""
    parser.add_argument("model", metavar="M", nargs="?", help="of this model only")
    parser.add_argument("--fetch", action="store_true", help="bring the tags of `origin` first")
    add_json_argument(parser, "a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Print the events, the oldest first."""
    from nbci.cli.models import known_models
    from nbci.config import find_project
    from nbci.promotion.verify import describe_signature
    from nbci.registry.queries import history

    git, models = known_models(Path.cwd(), arguments.model, fetch=arguments.fetch)
    signers = find_project(Path.cwd()).signers_file
    done = history(git, models, lambda manifest: describe_signature(manifest, signers))
    if arguments.json:
        print_json(done, ascii_only=False)
    else:
        print("\n".join(audit_lines(done)) or "no model was released yet")
    return 0


def audit_lines(entries: Iterable[HistoryEntry]) -> Iterator[str]:
    """For each event a line with the action, one with its evidence, and one with its reason."""
    for entry in entries:
        yield f"{entry.at_utc}  {_action(entry)}, by {_person(entry)}"
        yield f"    {', '.join(_evidence(entry))}"
        if entry.reason:
            # A reason may have several lines, which would look like actions.
            yield f"    because: {' '.join(entry.reason.split())}"


def _action(entry: HistoryEntry) -> str:
    text = f"{entry.model} {entry.version or ''}".strip()
    if entry.place:
        text += f" at {entry.place}"
    elif entry.stage:
        text += f" in {entry.stage}"
    text += f": {entry.action}"
    if entry.gate:
        text += f" ({entry.gate})"
    return text


def _person(entry: HistoryEntry) -> str:
    if not entry.email:
        return entry.by
    return f"{entry.by} <{entry.email}>"


def _evidence(entry: HistoryEntry) -> list[str]:
    known = (("run", entry.run), ("build", entry.build), ("tag", entry.tag))
    texts = [f"{name} {value}" for name, value in known if value]
    # Not every project signs its releases; what is said here is already a sentence.
    if entry.chosen:
        texts.append(entry.chosen)
    if entry.because:
        texts.append(entry.because)
    if entry.signature:
        texts.append(entry.signature)
    return texts
