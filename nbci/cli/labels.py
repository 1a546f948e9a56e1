"""Labels that come later: add them to a request log, by the ids of the requests, or count them.

Exit codes: 0 some were added, or all were there; 2 wrong usage, or no request of them is known.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, parse_seconds, print_json, warn
from nbci.errors import ExitCode, Location, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from nbci.logged.add_labels import AddedLabels
    from nbci.logged.labels import LabelledRows

_RIGHT = frozenset((1, 2, 3))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci labels`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add those of a file")
    add.add_argument("file", metavar="FILE", help="CSV, TSV, JSON lines or Parquet")
    add.add_argument("--id", metavar="COLUMN", help="of the request ids (default: request, or id)")
    add.add_argument("--label", metavar="COLUMN", help="of the labels (default: label)")
    add.add_argument(
        "--row", metavar="COLUMN", help="of the row within its request, from 0 (default: row)"
    )
    _add_common(add)

    show = actions.add_parser("show", help="count the rows that have one, by hour and version")
    show.add_argument(
        "--window", type=parse_seconds, metavar="TIME", help="the newest part only, such as 1d"
    )
    _add_common(show)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log", required=True, metavar="FOLDER", help="what `nbci serve --log` was given"
    )
    parser.add_argument("--model", metavar="M", help="where the log has several models")
    add_json_argument(parser)


def main(arguments: argparse.Namespace) -> int:
    """Call the function of the action."""
    folder = Path(arguments.log)
    model = arguments.model or _only_model(folder)
    if arguments.action == "add":
        return _add(arguments, folder, model)
    return _show(arguments, folder, model)


def _only_model(folder: Path) -> str:
    """The model of the log, which has to have just one."""
    from nbci.logged.log_files import logged_models

    models = logged_models(folder)
    if len(models) == 1:
        return models[0]
    if models:
        raise UsageError(
            "the log has several models",
            where=Location(str(folder)),
            hint=f"say which one: --model {' or '.join(models)}",
        )
    raise UsageError(
        "there is no log of requests in this folder",
        where=Location(str(folder)),
        hint="it is what `nbci serve --log FOLDER` was given",
    )


def _add(arguments: argparse.Namespace, folder: Path, model: str) -> int:
    import msgspec

    from nbci.logged.add_labels import LabelColumns, add_labels

    # The clock says only when: which label is newer, the numbers of the files say.
    columns = LabelColumns(request=arguments.id, label=arguments.label, row=arguments.row)
    added = add_labels(folder, model, Path(arguments.file), columns, time.time())
    if arguments.json:
        print_json(msgspec.structs.asdict(added))
    else:
        print(_sentence(added))
    for warning in _warnings(added):
        warn(warning)
    return ExitCode.SUCCESS


def _sentence(added: AddedLabels) -> str:
    from nbci.formatting.numbers import counted

    parts = [f"{counted(added.new, 'label')} added to the log of {added.model}"]
    if added.corrected:
        named = "; ".join(added.examples["corrected"])
        parts.append(f"{added.corrected} corrected ({named})")
    if added.same:
        parts.append(f"{added.same} there already")
    return ", ".join(parts)


def _warnings(added: AddedLabels) -> list[str]:
    """What was left out of the file."""
    warnings = []
    reasons = {
        "unknown": "are of no request in the log, and were left out",
        "unclear": "are of requests with several rows and say no row; they were left out",
    }
    for name, reason in reasons.items():
        count = getattr(added, name)
        if count:
            examples = ", ".join(added.examples[name])
            warnings.append(f"{count} of {added.lines} lines {reason}: {examples}")
    if added.empty:
        warnings.append(f"{added.empty} of {added.lines} lines have no id or no label")
    if added.doubled:
        warnings.append(
            f"{added.doubled} of {added.lines} lines are followed by another of the same row, "
            "which counts"
        )
    return warnings


def _show(arguments: argparse.Namespace, folder: Path, model: str) -> int:
    from nbci.logged.labels import count_labelled, read_labels
    from nbci.logged.window import read_window

    window = read_window(folder, model, newest=arguments.window)
    found = count_labelled(window, read_labels(folder, model))
    if arguments.json:
        print_json({"model": model, **_as_dict(found)})
    else:
        print("\n".join(_lines(model, found)))
    for broken in window.broken:
        warn(f"{broken.path} is left out from row {broken.rows}: {broken.why}")
    return ExitCode.SUCCESS


def _as_dict(found: LabelledRows) -> dict[str, object]:
    document: dict[str, object] = {"rows": found.rows, "labelled": found.labelled}
    for name in ("by_hour", "by_version"):
        counts = {}
        for key, (labelled, rows) in getattr(found, name).items():
            counts[key] = {"labelled": labelled, "rows": rows}
        document[name] = counts
    return document


def _lines(model: str, found: LabelledRows) -> list[str]:
    from nbci.formatting.numbers import counted
    from nbci.formatting.tables import table

    head = f"{model}: {found.labelled} of {counted(found.rows, 'row')} with a label"
    # Tables of nothing but titles say nothing.
    if not found.rows:
        return [head]
    lines = [head]
    for title, counts in (("version", found.by_version), ("hour (UTC)", found.by_hour)):
        lines += ["", *table([(title, "labelled", "rows", "share"), *_rows(counts)], right=_RIGHT)]
    return lines


def _rows(counts: Mapping[str, tuple[int, int]]) -> list[tuple[str, str, str, str]]:
    rows = []
    for name, (labelled, total) in counts.items():
        rows.append((name, str(labelled), str(total), f"{labelled / total:.0%}"))
    return rows
