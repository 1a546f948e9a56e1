"""The command line: find the subcommand's module and call it."""

from __future__ import annotations

import os
import sys

import nbci

# Each subcommand is a module of this package with `add_arguments(parser)` and `main(arguments) ->
# int`. Their help stands here so that `nbci --help` imports none of them. The order is that of the
# help: what most people need first, what a CI calls last.
COMMANDS = {
    "run": "run a notebook or a pipeline",
    "plan": "show what a run would do, without starting a kernel",
    "why": "say why a step would run: what has changed since it ran last",
    "lint": "check notebooks and pipelines without running them",
    "runs": "list the runs of this project, or search them",
    "metrics": "show how a metric has moved from run to run",
    "show": "show what became of a run",
    "report": "write the pages of a run, those of reused steps too",
    "comment": "put the summary of a run on its pull request, as one comment",
    "prove": "carry a run out once more without kept results, and compare",
    "blame": "say why a metric moved between two runs: the share of each part that differs",
    "sweep": "search over parameters for the best run; nothing is computed twice",
    "diff": "say what differs between two runs",
    "compare": "the same, or many runs in a table; with --html as pages",
    "checkout": "put files that a run made back into the workspace",
    "gate": "judge a run by its gates; let it pass one, with a name and a reason",
    "promote": "release a model of a run that its gates let pass",
    "demote": "take a model out of a stage",
    "rollback": "put the version before into a stage again",
    "push": "send what runs made to the DVC remote",
    "export": "write a run as files of DVC's own commands",
    "pull": "bring what runs made from the DVC remote",
    "models": "list released models; their history; get and verify them",
    "serve": "serve a released model over HTTP",
    "deploy": "put a release where it is to run, watch it there, and go back where it fails",
    "deployments": "say what is deployed where, and with --check how it is",
    "replay": "send logged requests through two releases, and compare their answers",
    "monitor": "judge a window of data against the release that answers it",
    "labels": "add labels that came later to the request log of a server, or count them",
    "retrain": "train a released model again, if there is reason to; say why and what came of it",
    "decisions": "list what was decided on a model, why, and what came of it",
    "lineage": "say where a model, file or run came from, and what came of it",
    "audit": "list who promoted, overrode and rolled back what",
    "kernels": "keep kernels warm between commands",
    "clean": "remove old runs, and old results from the cache",
    "index": "make the index of runs anew",
    "jenkins": "bring a pipeline to Jenkins, run it and watch it there",
    "init": "lay out a project that runs at once",
    "doctor": "say what is missing on this machine",
    "about": "say which nbci this is, and which kernels and GPUs are here",
    "step": "run one step of a stored plan, with a folder carrying its inputs and outputs",
    "finish": "gather the steps of a stored plan into a run, with verdict and report",
}

_USAGE = "usage: nbci [--version] [--help] COMMAND ..."
_MORE_HELP = (
    "nbci COMMAND --help says more about each. "
    "A first try, with your notebook: nbci run NOTEBOOK.ipynb"
)


def run(argv: list[str]) -> int:
    """Run the command line on these arguments; returns the exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        return _top_level_help(argv)
    if argv[0] == "--version":
        return _print([_version()])
    if argv[0] not in COMMANDS:
        return _refuse_unknown(argv[0])

    # Imported only here: `nbci --help` needs no parser.
    from nbci.cli.error_handler import call

    return call(argv[0], argv[1:])


def _version() -> str:
    # Imported only here: it asks git, which no other command pays for.
    from nbci.build_commit import build_commit

    version = f"nbci {nbci.__version__}"
    commit = build_commit()
    if not commit:
        return version
    return f"{version} ({commit})"


def _top_level_help(argv: list[str]) -> int:
    if len(argv) > 1 and argv[0] == "help" and argv[1] in COMMANDS:
        return run([argv[1], "--help"])

    width = max(map(len, COMMANDS))
    lines = [_USAGE, "", "Tagged Jupyter notebooks run as pipelines.", "", "commands:"]
    lines += [f"  {name:{width}}  {text}" for name, text in COMMANDS.items()]
    lines += ["", _MORE_HELP]
    return _print(lines)


def _refuse_unknown(word: str) -> int:
    """Print that the command is unknown, with the nearest one; returns the exit code."""
    from nbci.errors import ExitCode, nearest

    close = nearest(word, COMMANDS)
    # Who forgets `run` before a notebook's name gets no unlike command as advice.
    is_target = os.path.exists(word) or word.endswith((".ipynb", ".yaml", ".yml"))
    hint = "`nbci --help` lists the commands"
    if close is not None:
        hint = f"did you mean `nbci {close}`?"
    elif is_target:
        hint = f"did you mean `nbci run {word}`?"
    print(f"nbci: there is no command {word!r}\n  → {hint}", file=sys.stderr)
    return ExitCode.USAGE


def _print(lines: list[str]) -> int:
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        # `nbci --help | head`: what is left would fail once more when Python flushes at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
