"""Starts a zygote: imports what every kernel imports, then what is asked for, then serves."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
from typing import Any

from _nbci_zygote.child import rehearse
from _nbci_zygote.fingerprint import fingerprint
from _nbci_zygote.server import Server

BASE = """
ipykernel.kernelapp ipykernel.ipkernel ipykernel.zmqshell ipykernel.debugger
IPython.core.debugger IPython.core.oinspect IPython.core.completerlib IPython.extensions.storemagic
IPython.core.magics sqlite3 faulthandler pdb tornado.platform.asyncio tornado.queues
jupyter_client.session unicodedata stringprep encodings.idna encodings.latin_1 encodings.ascii
""".split()
"""What ipykernel imports until it answers: the one fixed list of preloads.

A trial run would find it, too, but costs each cold start as much as it could save.
"""

AT_EVERY_END = ["psutil"]
IN_TIME = """
timeit pexpect IPython.core.magics.execution IPython.core.magics.script IPython.core.magics.ast_mod
IPython.core.logger IPython.core.magic_arguments IPython.utils.module_paths IPython.utils.timing
stack_data pygments.lexers.python pygments.formatters.terminal256 pygments.formatters.html
pygments.styles runpy
""".split()
"""What kernels import at their first traceback, magic or `!`; worth its time where a zygote stays.
"""


prepared: dict[str, dict[str, Any]] = {}
"""By digest: the modules that nbci's first statement in a kernel makes."""


def main(settings: dict[str, Any], digest: str, source: str) -> None:
    """Import, write where this zygote is found, serve."""
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]  # `-c` puts it there; a module of the folder must not hide an installed one
    # an empty entry is the working folder, which is another one in each kernel
    folders = list(filter(None, sys.path))
    facts = {
        "pid": os.getpid(),
        "paths": folders,
        "installed": fingerprint(folders),
        "key": settings["key"],
    }
    environment = dict(os.environ)
    server = Server(settings)
    # before the imports: clients connect to the socket meanwhile, and wait
    write(os.path.join(server.folder, "zygote.json"), facts)

    with server.hidden.readings.record_variables():
        import_kernel(settings["debugger"])
    server.hidden.install(settings["cwd"], environment)
    prepare(digest, source)
    rehearse()
    server.hidden.hide_new_modules()
    gc.collect()

    names = AT_EVERY_END
    if settings["owner"] is None:
        names = AT_EVERY_END + IN_TIME
    server.hidden.preload(names)
    server.known = set(server.hidden.preloaded) | set(server.hidden.refused)
    server.hidden.avoid(settings["avoid"])
    server.hidden.preload(settings["preloads"])
    server.run()
    os._exit(0)  # taking all those modules down would take its time


def import_kernel(debugger: bool) -> None:
    """Import what `python -m ipykernel_launcher` imports until it answers."""
    os.environ.pop("JPY_PARENT_PID", None)
    if not debugger:
        sys.modules["debugpy"] = None  # type: ignore[assignment]  # an import of it fails
    importlib.import_module(BASE[0])  # without it, there is nothing to serve
    for name in BASE[1:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if not debugger:
        sys.modules.pop("debugpy", None)


def prepare(digest: str, source: str) -> None:
    """Run nbci's first statement here, so that kernels need not, and hide the modules it makes."""
    before = set(sys.modules)
    exec(source, {})
    prepared[digest] = {}
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "_nbci":
            prepared[digest][name] = sys.modules.pop(name)


def give(digest: str) -> None:
    """Bring the prepared modules back, in a kernel. Raises KeyError when there are none."""
    sys.modules.update(prepared[digest])


def write(path: str, document: Any) -> None:
    """A JSON file that is there whole or not at all."""
    with open(path + ".new", "w") as file:
        json.dump(document, file)
    os.replace(path + ".new", path)
