"""The models that were released: what is in each stage, since when, by whom, with which metrics.

`nbci models history M` tells what was done to one, `nbci models get M@v1.2.0 PATH` brings one here,
and `nbci models verify` holds every release against its evidence.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_error, print_json
from nbci.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.git.process import Git
    from nbci.records.manifest import ReleaseProof
    from nbci.registry.events import ModelState
    from nbci.registry.queries import StageRow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci models`."""
    # Only here with a default: without a query, nothing else would set these.
    _add_common(parser, default=False)
    commands = parser.add_subparsers(dest="query", metavar="QUERY")

    history = commands.add_parser(
        "history", help="what was done to a model, and its versions with their metrics"
    )
    history.add_argument("model", metavar="M")
    _add_common(history)

    get = commands.add_parser("get", help="bring a released model here")
    get.add_argument(
        "reference", metavar="M", help="digits, digits@v1.2.0, digits@latest or digits#production"
    )
    get.add_argument("path", metavar="PATH", help="where to: a name for the file, or a folder")
    get.add_argument("--url", metavar="GIT_URL", help="of this repository; no checkout is needed")
    get.add_argument("--force", action="store_true", help="replace what is there")
    _add_common(get)

    verify = commands.add_parser("verify", help="hold every release against its evidence")
    verify.add_argument("model", metavar="M", nargs="?", help="this model only")
    verify.add_argument(
        "--quick", action="store_true", help="look whether objects are there, do not read them"
    )
    _add_common(verify)


def _add_common(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Declare the options that may come before or after the query's name.

    argparse sets the defaults of a query last: `--json verify` would become false without SUPPRESS.
    """
    parser.add_argument(
        "--fetch", action="store_true", default=default, help="bring the tags of `origin` first"
    )
    parser.add_argument("--json", action="store_true", default=default, help="print JSON")


def main(arguments: argparse.Namespace) -> int:
    """Call the function of the query."""
    match arguments.query:
        case "history":
            return _history(arguments)
        case "get":
            return _get(arguments)
        case "verify":
            return _verify(arguments)
        case _:
            return _list(arguments)


def known_models(
    folder: Path, name: str | None, *, fetch: bool
) -> tuple[Git, tuple[ModelState, ...]]:
    """The repository of the folder, and its models; with a `name` only that model."""
    from nbci.git.process import REMOTE, open_git
    from nbci.registry.read import fetch_models, find_model, read_models

    git = open_git(folder)
    if fetch:
        fetch_models(git, REMOTE, None if name is None else [name])
    models = read_models(git)
    if name is not None:
        models = (find_model(models, name),)
    return git, models


def _list(arguments: argparse.Namespace) -> int:
    from nbci.records.codec import plain
    from nbci.registry.queries import stage_rows

    git, models = known_models(Path.cwd(), None, fetch=arguments.fetch)
    rows = stage_rows(git, models)
    if arguments.json:
        print_json(plain(rows), ascii_only=False)
    else:
        print("\n".join(_table(rows)) or "no model was released yet: nbci promote RUN")
    return 0


def _table(rows: Sequence[StageRow]) -> list[str]:
    from nbci.formatting.durations import minute
    from nbci.formatting.tables import table

    if not rows:
        return []
    head = ["model", "stage", "version", "since", "by", "metrics"]
    # A column of empty cells would only make the table wider.
    has_proofs = any(row.proof for row in rows)
    if has_proofs:
        head.append("reproduced")
    cells = [head]
    for row in rows:
        # A version that was registered, and never put into a stage, has none.
        stage = row.stage or "-"
        since, metrics = minute(row.since_utc), _metrics(row.metrics)
        line = [row.model, stage, row.version, since, row.by, metrics]
        if has_proofs:
            line.append(_proof(row.proof))
        cells.append(line)
    return table(cells)


def _proof(proof: ReleaseProof | None) -> str:
    if proof is None:
        return "-"
    from nbci.proofs.sentences import agreement_words

    return agreement_words(proof.agreement, proof.tolerance)


def _metrics(metrics: Mapping[str, float]) -> str:
    """The metrics as one text, without the names of steps, for which a row has no room."""
    from nbci.formatting.numbers import number

    texts = [f"{name.rpartition(':')[2]} {number(value)}" for name, value in metrics.items()]
    return ", ".join(texts)


def _history(arguments: argparse.Namespace) -> int:
    from nbci.cli.audit import audit_lines
    from nbci.records.codec import plain
    from nbci.registry.queries import history, version_rows

    git, models = known_models(Path.cwd(), arguments.model, fetch=arguments.fetch)
    versions = version_rows(git, models[0])
    events = history(git, models)
    if arguments.json:
        print_json(plain({"versions": versions, "events": events}), ascii_only=False)
    else:
        print("\n".join((*_table(versions), "", *audit_lines(events))))
    return 0


def _get(arguments: argparse.Namespace) -> int:
    from nbci.promotion.fetched import get_model
    from nbci.registry.grammar import parse_reference

    fetched = get_model(
        parse_reference(arguments.reference),
        url=arguments.url,
        folder=Path.cwd(),
        target=Path(arguments.path),
        force=arguments.force,
    )
    if arguments.json:
        print_json(fetched, ascii_only=False)
    else:
        for name in fetched.files:
            print(f"{fetched.model} {fetched.version}  {name}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from nbci.config import find_project
    from nbci.promotion.verify import verify

    git, models = known_models(Path.cwd(), arguments.model, fetch=arguments.fetch)
    found = verify(git, find_project(Path.cwd()), models, content=not arguments.quick)
    if arguments.json:
        print_json(found, ascii_only=False)
    else:
        for finding in found:
            print_error(f"{finding.model} {finding.version or ''}: {finding.problem}")
        if not found:
            print(_no_findings(models))
    if found:
        return ExitCode.INTEGRITY
    return ExitCode.SUCCESS


def _no_findings(models: Sequence[ModelState]) -> str:
    """The text for no findings, with the number of releases that were checked."""
    count = sum(len(model.versions) for model in models)
    if count == 0:
        return "no model was released yet"
    if count == 1:
        return "1 release is what it says"
    return f"{count} releases are what they say"
