"""Measure nbci against its peers: `python -m benchmarks [NAME …]`.

Or `make bench`, `make bench ONLY=plan QUICK=1`.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Bench, Wrong
from benchmarks.table import as_json, as_markdown, as_text

if TYPE_CHECKING:
    from benchmarks.measure import Row

ROOT = Path(__file__).parent.parent
NAMES = (
    *("imports", "kernel_start", "steps", "plan", "outputs", "startup"),
    *("runs", "values", "chains", "report", "stages", "watching"),
    *("behaviour", "profiles", "prove", "remeasure", "seeds", "serving", "sweeps"),
)


def main() -> int:
    """Measure what is asked for; 1 when something did not do its work."""
    arguments = _parser().parse_args()
    unknown = sorted({*arguments.names} - {*NAMES})
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    _compile()
    groups: dict[str, list[Row]] = {}
    titles: dict[str, str] = {}
    wrong = False
    for name in arguments.names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        titles[name] = (module.__doc__ or name).partition("\n")[0].rstrip(".")
        print(f"\n{titles[name]}", flush=True)
        try:
            groups[name] = _measured(name, arguments)
        except Wrong as error:
            wrong = True
            print(f"WRONG {error}", file=sys.stderr)
        else:
            print(as_text(groups[name]), flush=True)
            _write(arguments, groups, titles)
    return int(wrong)


def _compile() -> None:
    """Compile nbci and all that it runs with to bytecode, as pip does.

    Without it each process would compile again.
    """
    command = [sys.executable, "-m", "compileall", "-q"]
    subprocess.run([*command, ROOT / "nbci"], check=True)
    subprocess.run(
        [*command, "-j", "0", sysconfig.get_path("purelib")], check=False, capture_output=True
    )


def _write(
    arguments: argparse.Namespace, groups: dict[str, list[Row]], titles: dict[str, str]
) -> None:
    """Keep what there is so far: a long run that breaks has not been in vain."""
    arguments.json.parent.mkdir(exist_ok=True)
    arguments.json.write_text(as_json(groups, arguments.quick), encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(
            as_markdown(groups, titles, arguments.quick), encoding="utf-8"
        )


def _measured(name: str, arguments: argparse.Namespace) -> list[Row]:
    """The rows of one benchmark, which gets a short path: sockets are made in it."""
    with tempfile.TemporaryDirectory(prefix="nb") as folder:
        bench = Bench(folder=Path(folder), peers=arguments.peers.resolve(), quick=arguments.quick)
        return list(importlib.import_module(f"benchmarks.{name}").rows(bench))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds and small sizes")
    parser.add_argument(
        "--json",
        type=Path,
        default=ROOT / ".bench" / "results.json",
        metavar="FILE",
        help="where the figures go (default: %(default)s)",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables as a page, too"
    )
    parser.add_argument(
        "--peers",
        type=Path,
        default=ROOT / ".bench",
        metavar="FOLDER",
        help="where the peers' environments are kept (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
