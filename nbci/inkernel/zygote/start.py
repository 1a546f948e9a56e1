"""How a zygote comes up: it imports what every kernel imports, then what is asked for, then it
serves.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
from typing import Any

from _nbci_zygote.child import rehearse  # type: ignore[import-not-found]  # these are there where this runs
from _nbci_zygote.fingerprint import fingerprint  # type: ignore[import-not-found]
from _nbci_zygote.server import Server  # type: ignore[import-not-found]

BASE = """
ipykernel.kernelapp ipykernel.ipkernel ipykernel.zmqshell ipykernel.debugger IPython.core.debugger IPython.core.oinspect
IPython.core.completerlib IPython.extensions.storemagic IPython.core.magics sqlite3 faulthandler pdb
tornado.platform.asyncio tornado.queues jupyter_client.session unicodedata stringprep encodings.idna encodings.latin_1
encodings.ascii
""".split()

AT_EVERY_END = ["psutil"]
IN_TIME = """
timeit pexpect IPython.core.magics.execution IPython.core.magics.script IPython.core.magics.ast_mod IPython.core.logger
IPython.core.magic_arguments IPython.utils.module_paths IPython.utils.timing stack_data pygments.lexers.python
pygments.formatters.terminal256 pygments.formatters.html pygments.styles runpy
""".split()
"""What kernels import at their first traceback, magic or `!`; worth its time where a zygote stays.
"""


prepared: dict[str, dict[str, Any]] = {}
"""By digest: the modules that nbci's first statement in a kernel makes."""


def main(settings: dict[str, Any], digest: str, source: str) -> None:
    """Import, say where this is, serve."""
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    folders = [folder for folder in sys.path if folder]
    facts = {
        "pid": os.getpid(),
        "paths": folders,
        "installed": fingerprint(folders),
        "key": settings["key"],
    }
    environment = dict(os.environ)
    server = Server(settings)
    write(os.path.join(server.folder, "zygote.json"), facts)
    with server.stash.readings.noting_variables():
        import_kernel(settings["debugger"])
    server.stash.install(settings["cwd"], environment)
    prepare(digest, source)
    rehearse()
    server.stash.put_away()
    gc.collect()
    server.stash.preload(AT_EVERY_END if settings["owner"] is not None else AT_EVERY_END + IN_TIME)
    server.known = set(server.stash.preloaded) | set(server.stash.refused)
    server.stash.avoid(settings["avoid"])
    server.stash.preload(settings["preloads"])
    server.run()
    os._exit(0)  # taking all those modules down would take its time


def import_kernel(debugger: bool) -> None:
    """What `python -m ipykernel_launcher` imports before it reads its arguments, and what its start
    imports.
    """
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
    """Run nbci's first statement here, so that kernels need not; what it leaves is out of sight."""
    before = set(sys.modules)
    exec(source, {})
    ours = [name for name in set(sys.modules) - before if name.partition(".")[0] == "_nbci"]
    prepared[digest] = {name: sys.modules.pop(name) for name in ours}


def give(digest: str) -> None:
    """Bring it into sight, in a kernel. Raises KeyError when it was not prepared."""
    sys.modules.update(prepared[digest])


def write(path: str, document: Any) -> None:
    """A JSON file that is there whole or not at all."""
    with open(path + ".new", "w") as file:
        json.dump(document, file)
    os.replace(path + ".new", path)
