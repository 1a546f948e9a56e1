"""Makes IPython raise where it would only print: nothing that went wrong may look like success."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import warnings
from typing import Any

shown: list[BaseException] = []
"""Exceptions whose traceback IPython displayed since the last cell's end."""

SHOWS_ON_PURPOSE = ("tb", "debug", "xmode")
SCRIPTS = ("bash", "sh", "perl", "ruby", "python2", "python3", "pypy")
TAIL_CHARACTERS = 2000
"""So much of a failed command's output is part of the error."""
CHANGES_FOLDER = ("cd", "pushd", "popd")


class ShellError(Exception):
    """A shell command ended with a status other than 0."""


class CellExit(SystemExit):
    """A cell called exit() or quit()."""


def install(shell_errors: str) -> None:
    """Hook into the running shell."""
    from IPython import get_ipython

    shell = get_ipython()
    watch_tracebacks(shell)
    watch_magics(shell)
    raise_from_run(shell)
    raise_from_exit(shell)
    if shell_errors == "fail":
        raise_from_commands(shell)


def watch_tracebacks(shell: Any) -> None:
    """A cell whose traceback was displayed has failed, even if the exception was then swallowed."""
    original = shell.showtraceback

    def showtraceback(exc_tuple: Any = None, *args: Any, **kwargs: Any) -> Any:
        value = (exc_tuple or sys.exc_info())[1]
        if value is not None and is_of_widgets(sys._getframe(1)):
            text = "an exception was shown in a widget, and the cell went on: " + error_text(value)
            sys.modules["_nbci.facts"].note(text)
        elif value is not None:
            shown.append(value)
        return original(exc_tuple, *args, **kwargs)

    def after_cell(result: Any) -> Any:
        if result is None or not getattr(getattr(result, "info", None), "store_history", True):
            return
        # IPython prints what a callback raises, and goes on: so the result is changed instead
        if result.success and shown:
            result.error_in_exec = shown[-1]
            if not getattr(shell, "_last_traceback", None):
                shell._last_traceback = []
        del shown[:]

    shell.showtraceback = showtraceback
    shell.events.register("post_run_cell", after_cell)


def is_of_widgets(frame: Any) -> bool:
    """Whether this is code of ipywidgets.

    An `Output` and an `interact` show what is raised in them, and go on.
    """
    return str(frame.f_globals.get("__name__")).startswith("ipywidgets.")


def error_text(error: BaseException) -> str:
    text = str(error)
    if not text:
        return type(error).__name__
    return type(error).__name__ + ": " + text


def watch_magics(shell: Any) -> None:
    """A magic that displayed a traceback or printed an OSError raises it instead of going on."""
    line, cell = shell.run_line_magic, shell.run_cell_magic

    def run_line_magic(magic_name: Any, line_: Any, _stack_depth: Any = 1) -> Any:
        __tracebackhide__ = True
        before = len(shown)
        with FolderErrors(magic_name) as folder:
            answer = line(magic_name, line_, _stack_depth=_stack_depth + 1)
        # `%tb` shows the traceback of an earlier cell
        if magic_name in SHOWS_ON_PURPOSE:
            del shown[before:]
        folder.raise_if_any()
        raise_new(before)
        return answer

    def run_cell_magic(magic_name: Any, line_: Any, cell_: Any) -> Any:
        __tracebackhide__ = True
        before = len(shown)
        program = script_program(magic_name, line_)
        # IPython prints an error and goes on (IPython/core/magics/script.py)
        if program is not None and shutil.which(program) is None:
            raise ShellError("there is no program `" + program + "`")
        answer = cell(magic_name, line_, cell_)
        raise_new(before)
        return answer

    shell.run_line_magic = run_line_magic
    shell.run_cell_magic = run_cell_magic


def raise_new(before: int) -> None:
    """Raise the last exception displayed since `before`."""
    if len(shown) > before:
        raise shown[-1]


class FolderErrors:
    """Keeps the OSError of a missing folder, to raise it after the magic.

    `%cd` prints it and goes on in the old folder (IPython/core/magics/osm.py).
    """

    def __init__(self, magic: str) -> None:
        self.watches = magic in CHANGES_FOLDER
        self.error: OSError | None = None
        self.original = os.chdir

    def __enter__(self) -> FolderErrors:
        def chdir(path: Any) -> Any:
            try:
                self.original(path)
            except OSError as error:
                self.error = error
                raise

        if self.watches:
            os.chdir = chdir
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if self.watches:
            os.chdir = self.original

    def raise_if_any(self) -> None:
        if self.error is not None:
            raise self.error


def raise_from_run(shell: Any) -> None:
    """%run of a script, notebook or module raises what the code raised."""
    script, notebook = shell.safe_execfile, shell.safe_execfile_ipy

    def safe_execfile(fname: Any, *where: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        ignores_exit = kwargs.get("exit_ignore", False)
        # without it, IPython prints the traceback, and `%run` succeeds
        kwargs["raise_exceptions"] = True
        try:
            return script(fname, *where, **kwargs)
        except SystemExit:
            if not ignores_exit:
                raise

    def safe_execfile_ipy(
        fname: Any, shell_futures: Any = False, raise_exceptions: Any = False
    ) -> Any:
        __tracebackhide__ = True
        return notebook(fname, shell_futures=shell_futures, raise_exceptions=True)

    shell.safe_execfile = safe_execfile
    shell.safe_execfile_ipy = safe_execfile_ipy


def raise_from_exit(shell: Any) -> None:
    """exit() and quit() end the cell at once."""

    def ask_exit() -> Any:
        __tracebackhide__ = True
        raise CellExit("exit() ended the cell")

    shell.ask_exit = ask_exit
    # IPython's advice for the prompt would stand as the last thing that the cell printed
    warnings.filterwarnings("ignore", message="To exit: use", category=UserWarning)


def script_program(magic: str, line: str) -> str | None:
    """The program that a cell magic like %%bash or %%script runs."""
    if magic in SCRIPTS:
        return magic
    if magic != "script":
        return None
    before = ""
    for word in line.split():
        if not word.startswith("-") and before not in ("--out", "--err", "--proc"):
            return word.strip("'\"")
        before = word
    return None


def raise_from_commands(shell: Any) -> None:
    """`!command` and `x = !command` raise when the command ends with a status other than 0."""
    original, expand = shell.system, shell.var_expand

    def system(cmd: Any) -> Any:
        __tracebackhide__ = True
        expanded = expand(cmd, depth=1)
        # it was expanded above, with the variables of the cell
        shell.var_expand = lambda cmd, *args, **kwargs: cmd
        try:
            original(expanded)
        finally:
            shell.var_expand = expand
        raise_if_failed(shell.user_ns.get("_exit_code"), expanded, "")

    def getoutput(cmd: Any, split: Any = True, depth: Any = 0) -> Any:
        __tracebackhide__ = True
        from IPython.utils.text import LSString, SList

        # as IPython's own `getoutput` says it
        if cmd.rstrip().endswith("&"):
            raise OSError("Background processes not supported.")
        expanded = expand(cmd, depth=depth + 1)
        status, text = run_command(expanded)
        shell.user_ns["_exit_code"] = status
        raise_if_failed(status, expanded, text)
        if split:
            return SList(text.splitlines())
        return LSString(text)

    shell.system = system
    shell.getoutput = getoutput


def run_command(command: str) -> tuple[int, str]:
    """Run it in the user's shell; its status and what it printed, errors included."""
    # what was printed before stands before what the command prints
    sys.stdout.flush()
    sys.stderr.flush()
    done = subprocess.run(
        command,
        shell=True,
        executable=os.environ.get("SHELL"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")


def raise_if_failed(status: Any, command: str, output: str) -> None:
    """Raise ShellError when `status` is not 0; a negative one is that of a signal."""
    __tracebackhide__ = True
    if not status:
        return
    how = "ended with status " + str(status)
    if isinstance(status, int) and status < 0:
        how = "was killed by " + signal_name(-status)
    tail = ""
    if output.strip():
        tail = "\n" + output[-TAIL_CHARACTERS:].rstrip()
    raise ShellError("command " + how + ": " + command.strip().replace("\n", " ") + tail)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal " + str(number)
