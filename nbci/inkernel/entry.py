"""The `_nbci` package of the user's kernel: registers its modules and answers calls.

Standard library only, Python 3.8 and later: it runs in whatever environment the kernel has.
"""

from __future__ import annotations

import json
import sys
import types
from typing import Any


class _Encoder(json.JSONEncoder):
    """The encoder as it was before any cell ran, whatever the cells do to `json`."""

    encode = json.JSONEncoder.encode
    iterencode = json.JSONEncoder.iterencode


_encode = _Encoder().encode
_decode = json.JSONDecoder().decode


class Answer:
    """A JSON document that survives IPython's formatters, whatever the user did to them."""

    def __init__(self, document: Any) -> None:
        self.document = document

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/x-nbci": _encode(self.document)}


def register(name: str, source: str) -> None:
    """Make the module `_nbci.NAME` of `source`; a traceback of it shows `<nbci NAME>`."""
    module = types.ModuleType("_nbci." + name)
    module.__package__ = "_nbci"
    sys.modules[module.__name__] = module
    setattr(sys.modules["_nbci"], name, module)
    exec(compile(source, "<nbci " + name + ">", "exec"), module.__dict__)


def provide_cloudpickle(package_source: str, module_source: str) -> None:
    """Register cloudpickle from its own source, for environments that lack it."""
    package = types.ModuleType("cloudpickle")
    package.__path__ = []
    module = types.ModuleType("cloudpickle.cloudpickle")
    module.__package__ = package.__package__ = "cloudpickle"
    sys.modules["cloudpickle"] = package
    sys.modules["cloudpickle.cloudpickle"] = module
    exec(compile(module_source, "<cloudpickle>", "exec"), module.__dict__)
    # a module made by hand has what it is given
    package.cloudpickle = module  # type: ignore[attr-defined]
    exec(compile(package_source, "<cloudpickle package>", "exec"), package.__dict__)


def call(function: str, argument: str) -> Answer:
    """Call `part.function` with a JSON document.

    The answer has `ok`, `os_error` or `broken` (a traceback).
    """
    part, _, name = function.partition(".")
    module_name = "_nbci"
    if name:
        module_name += "." + part
    try:
        function_called = getattr(sys.modules[module_name], name or part)
        return Answer({"ok": function_called(**_decode(argument))})
    except OSError as error:
        return Answer({"os_error": str(error)})
    except Exception:  # noqa: BLE001  # user code can raise anything
        import traceback

        return Answer({"broken": traceback.format_exc()})


def install(shell_errors: str, parent: int, project: str, held: list[str]) -> dict[str, Any]:
    """Start all parts; gives what is known at once. `held` are conditions for this step."""
    import importlib.util

    # the traces last: they would take what the others read for the step's
    sys.modules["_nbci.streams"].install()
    sys.modules["_nbci.failures"].install(shell_errors)
    known: dict[str, Any] = sys.modules["_nbci.facts"].install(parent)
    sys.modules["_nbci.random_state"].install()
    sys.modules["_nbci.held_conditions"].install(held)
    try:
        known["cloudpickle"] = importlib.util.find_spec("cloudpickle") is not None
    except ImportError:
        known["cloudpickle"] = False
    sys.modules["_nbci.traces"].install(project)
    return known
