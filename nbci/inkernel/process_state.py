"""Settings of the process and of libraries that a step changed, which the next steps do not have.

Each step runs in a process of its own, so a changed setting stays behind: the user is told.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import Any

from . import arrivals, traces

SHOWN = 4
"""So many names of changed settings are shown."""
LIMITS = (
    *("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NOFILE"),
    *("RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_FSIZE"),
)
SIGNALS = ("SIGALRM", "SIGHUP", "SIGPIPE", "SIGTERM", "SIGUSR1", "SIGUSR2")
FOLLOWS_THE_BACKEND = ("backend", "backend_fallback", "interactive")
"""matplotlib settles these itself when it first draws."""

PER_CELL = ("_", "display", "exit", "get_ipython", "input", "quit")
INLINE_SETTINGS = ("figure_formats", "print_figure_kwargs", "rc", "close_figures")


class Kind:
    """Settings that are read together; `owner` is the module without which there are none.

    `token` is something quicker to have that differs when they do, for settings of which there are
    hundreds.

    `words`: imports change settings of this kind by themselves, and do so again in the step that
    imports the same. A change that comes with imports is the step's own only where its text has one
    of the words.
    """

    def __init__(
        self, name: str, owner: str, read: Any, words: tuple[str, ...] = (), token: Any = None
    ) -> None:
        self.name = name
        self.owner = owner
        self.read = read
        self.words = words
        self.token = token


def environment(_: Any) -> dict[str, Any]:
    # the values stay encoded: they are only compared
    return {os.fsdecode(name): value for name, value in os.environ._data.items()}  # type: ignore[attr-defined]


def folder(_: Any) -> dict[str, Any]:
    # the folder may have been removed
    with contextlib.suppress(OSError):
        return {"": os.getcwd()}
    return {"": None}


def umask(_: Any) -> dict[str, Any]:
    """The umask where it can be read without setting it, which other threads would notice."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:
        return {"": file.read(200).partition(b"\nUmask:")[2][:6]}
    return {}


def interpreter(_: Any) -> dict[str, Any]:
    found = {"recursion limit": sys.getrecursionlimit(), "switch interval": sys.getswitchinterval()}
    if hasattr(sys, "get_int_max_str_digits"):
        # Since Python 3.11, and in later releases of 3.8 to 3.10.
        found["longest int"] = sys.get_int_max_str_digits()
    for name in ("stdout", "stderr", "excepthook"):
        # By identity: a stream or hook has no value to compare.
        found["sys." + name] = id(getattr(sys, name))
    found["sys.dont_write_bytecode"] = sys.dont_write_bytecode
    return found


def import_path(_: Any) -> dict[str, Any]:
    # without order: a folder that is put before the others changes the place of all
    return dict.fromkeys(map(str, sys.path), True)


def builtin_names(builtins: Any) -> dict[str, Any]:
    """All but those that IPython and ipykernel set for each cell."""
    return {name: id(value) for name, value in vars(builtins).items() if name not in PER_CELL}


def collector(gc: Any) -> dict[str, Any]:
    return {"enabled": gc.isenabled(), "threshold": gc.get_threshold()}


def locales(locale: Any) -> dict[str, Any]:
    return {"": locale.setlocale(locale.LC_ALL)}


def time_zone(time: Any) -> dict[str, Any]:
    return {"": (time.tzname, time.timezone)}


def decimals(decimal: Any) -> dict[str, Any]:
    context = decimal.getcontext()
    found = {}
    for name in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp"):
        found[name] = getattr(context, name)
    found["traps"] = tuple(sorted(signal.__name__ for signal, on in context.traps.items() if on))
    return found


def filters(warnings: Any) -> dict[str, Any]:
    return dict.fromkeys((filter_text(*entry[:4]) for entry in warnings.filters), True)


def filter_text(action: str, message: Any, category: Any, module: Any) -> str:
    # a regular expression by its text, since Python compiles it
    patterns = [getattr(pattern, "pattern", pattern) for pattern in (message, module) if pattern]
    return " ".join(filter(None, [action, category.__name__, *map(str, patterns)]))


def loggers(logging: Any) -> dict[str, Any]:
    root = logging.root
    found = {
        "of all loggers": root.manager.disable,
        "": (root.level, tuple(map(id, root.handlers))),
    }
    # A copy: another thread may make a logger meanwhile.
    for name, logger in list(root.manager.loggerDict.items()):
        level, off = getattr(logger, "level", 0), getattr(logger, "disabled", False)
        if level or off:
            found[name] = (level, off)
    return found


def limits(resource: Any) -> dict[str, Any]:
    found = {}
    for name in LIMITS:
        if hasattr(resource, name):
            found[name] = resource.getrlimit(getattr(resource, name))
    return found


def handlers(signal: Any) -> dict[str, Any]:
    found = {}
    for name in SIGNALS:
        if hasattr(signal, name):
            found[name] = id(signal.getsignal(getattr(signal, name)))
    return found


def start_method(multiprocessing: Any) -> dict[str, Any]:
    return {"": multiprocessing.get_start_method(allow_none=True)}


def sockets(socket: Any) -> dict[str, Any]:
    return {"": socket.getdefaulttimeout()}


def https(ssl: Any) -> dict[str, Any]:
    return {"": id(ssl._create_default_https_context)}


def opener(request: Any) -> dict[str, Any]:
    return {"": id(request._opener)}


def csv_limit(csv: Any) -> dict[str, Any]:
    return {"": csv.field_size_limit()}


def shell(_: Any) -> dict[str, Any]:
    from IPython import get_ipython

    own = get_ipython()
    # what `%precision`, `%pprint`, `%xmode` and `%load_ext` set
    text = own.display_formatter.formatters["text/plain"]
    return {
        "ast_node_interactivity": own.ast_node_interactivity,
        "xmode": getattr(own.InteractiveTB, "mode", None),
        "precision": text.float_format,
        "pretty printing": (text.pprint, text.max_width, text.max_seq_length),
        "extensions": tuple(sorted(own.extension_manager.loaded)),
        "InlineBackend": repr(own.config.get("InlineBackend")),
    }


def inline_figures(config: Any) -> dict[str, Any]:
    own = config.InlineBackend
    settings = own()
    if own.initialized():
        settings = own.instance()
    return {name: repr(getattr(settings, name)) for name in INLINE_SETTINGS}


def pandas_options(pandas: Any) -> dict[str, Any]:
    return dict(flat("", pandas._config.config._global_config))


def pandas_methods(pandas: Any) -> dict[str, Any]:
    """What was added to pandas' classes: accessors, `tqdm.pandas()`."""
    found = {}
    for kind in pandas_classes(pandas):
        for name, value in vars(kind).items():
            found[kind.__name__ + "." + name] = id(value)
    return found


def pandas_members(pandas: Any) -> Any:
    return [tuple(vars(kind).values()) for kind in pandas_classes(pandas)]


def pandas_classes(pandas: Any) -> tuple[Any, ...]:
    return (pandas.DataFrame, pandas.Series, pandas.Index)


def texts(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by their texts, which stay as they are when a value is changed in place."""
    return {name: repr(value) for name, value in settings.items()}


def numpy_printing(numpy: Any) -> dict[str, Any]:
    return texts(numpy.get_printoptions())


def numpy_errors(numpy: Any) -> dict[str, Any]:
    return dict(numpy.geterr(), call=id(numpy.geterrcall()))


def sklearn_config(sklearn: Any) -> dict[str, Any]:
    return texts(sklearn.get_config())


def plot_settings(matplotlib: Any) -> dict[str, Any]:
    settings = dict.copy(matplotlib.rcParams)  # the class's own methods resolve the back end
    backend = settings.get("backend")
    found = {}
    for name, value in settings.items():
        if isinstance(value, list):
            value = repr(value)  # noqa: PLW2901  # it may be changed in place
        found[name] = value
    for name in FOLLOWS_THE_BACKEND:
        found.pop(name, None)

    found["backend"] = None
    if isinstance(backend, str) and not is_inline(backend):
        found["backend"] = backend
    return found


def is_inline(backend: str) -> bool:
    return "inline" in backend or backend == os.environ.get("MPLBACKEND")


def plotly_defaults(plotly: Any) -> dict[str, Any]:
    return {"templates": plotly.templates.default, "renderers": plotly.renderers.default}


def altair_settings(altair: Any) -> dict[str, Any]:
    return {
        "data_transformers": altair.data_transformers.active,
        "renderers": altair.renderers.active,
    }


def xarray_options(xarray: Any) -> dict[str, Any]:
    return texts(xarray.get_options())


def dask_config(config: Any) -> dict[str, Any]:
    return dict(flat("", config.config))


def jax_config(jax: Any) -> dict[str, Any]:
    return texts(jax.config.values)


def torch_settings(torch: Any) -> dict[str, Any]:
    return {
        "default_dtype": str(torch.get_default_dtype()),
        "grad_enabled": torch.is_grad_enabled(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "num_threads": torch.get_num_threads(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
    }


def tracking(fluent: Any) -> dict[str, Any]:
    return {"experiment": fluent._active_experiment_id, "uri": fluent.get_tracking_uri()}


def flat(prefix: str, settings: Any) -> Any:
    """Nested settings as (dotted name, text)."""
    for name, value in list(settings.items()):
        full = str(name)
        if prefix:
            full = prefix + "." + full
        if isinstance(value, dict):
            yield from flat(full, value)
        else:
            yield full, repr(value)


KINDS = [
    Kind("the environment", "os", environment, ("environ", "env", "putenv")),
    Kind("the working folder", "os", folder),
    Kind("the umask", "os", umask),
    Kind("settings of the interpreter", "sys", interpreter),
    Kind("sys.path", "sys", import_path, ("path",)),
    Kind("the builtins", "builtins", builtin_names, ("builtins",)),
    Kind("the garbage collector", "gc", collector),
    Kind("the locale", "locale", locales),
    Kind("the time zone", "time", time_zone),
    Kind("decimal's context", "decimal", decimals),
    Kind(
        "the warnings' filters", "warnings", filters, ("warnings", "simplefilter", "filterwarnings")
    ),
    Kind("logging", "logging", loggers, ("logg", "setLevel", "verbosity")),
    Kind("limits of the process", "resource", limits),
    Kind("handlers of signals", "signal", handlers, ("signal",)),
    Kind("multiprocessing's start method", "multiprocessing", start_method, ("start_method",)),
    Kind("the sockets' time limit", "socket", sockets),
    Kind("the HTTPS context", "ssl", https),
    Kind("urllib's opener", "urllib.request", opener),
    Kind("csv's field size", "csv", csv_limit),
    Kind("IPython", "IPython", shell),
    Kind("the inline figures", "matplotlib_inline.config", inline_figures),
    Kind(
        "pandas' options",
        "pandas",
        pandas_options,
        token=lambda pandas: repr(pandas._config.config._global_config),
    ),
    Kind("pandas' classes", "pandas", pandas_methods, token=pandas_members),
    Kind("numpy's print options", "numpy", numpy_printing),
    Kind("numpy's error handling", "numpy", numpy_errors),
    Kind("scikit-learn's configuration", "sklearn", sklearn_config),
    Kind(
        "matplotlib's rcParams",
        "matplotlib",
        plot_settings,
        token=lambda owner: tuple(dict.values(owner.rcParams)),
    ),
    Kind("plotly's defaults", "plotly.io", plotly_defaults),
    Kind("altair's settings", "altair", altair_settings),
    Kind("xarray's options", "xarray", xarray_options),
    Kind("dask's configuration", "dask.config", dask_config),
    Kind("jax's configuration", "jax", jax_config),
    Kind("torch's settings", "torch", torch_settings),
    Kind("mlflow's tracking", "mlflow.tracking.fluent", tracking),
]

# What follows is this kernel's own, from `begin` to `finish`.

first: dict[str, dict[str, Any]] = {}
"""Each kind's settings before the step's own cells, or when its library came."""
last: dict[str, dict[str, Any]] = {}
"""The same after the last cell."""
tokens: dict[str, Any] = {}
changed_in: dict[tuple[str, str], int] = {}
"""The execution count of the cell that changed a setting last."""
known: set[str] = set()
"""The modules that were here after the last cell."""
ABSENT = object()


def begin() -> None:
    """Take a picture of all settings, and compare with it after each cell.

    Only there the settings of a context (`decimal`, numpy) are seen: nbci's own calls have another.
    """
    from IPython import get_ipython

    # Most libraries come later, or never: each is looked at when it comes.
    for kind in KINDS:
        arrivals.watch(kind.owner, functools.partial(picture, kind))
    known.update(sys.modules)
    get_ipython().events.register("post_run_cell", after_cell)


def picture(kind: Kind, owner: Any) -> None:
    """Remember how it is now; what cannot be read is not looked at any more.

    Nothing of it is the step's reading.
    """
    traces.quietly(remember, kind, owner)


def remember(kind: Kind, owner: Any) -> None:
    last[kind.name] = kind.read(owner)
    tokens[kind.name] = None
    if kind.token is not None:
        tokens[kind.name] = kind.token(owner)
    first[kind.name] = dict(last[kind.name])


def cell_count() -> int:
    """The execution count of the cell that has just run."""
    from IPython import get_ipython

    return len(get_ipython().history_manager.input_hist_raw) - 1


def after_cell(result: Any) -> None:
    """Note which settings the cell changed."""
    count = cell_count()
    text = str(getattr(getattr(result, "info", None), "raw_cell", ""))
    came = sorted(set(sys.modules) - known)
    known.update(came)
    for kind in KINDS:
        if kind.name in first:
            imported: list[str] = []
            if kind.words and not mentions(text, kind):
                imported = came
            traces.quietly(note_changes, kind, count, imported)


def mentions(text: str, kind: Kind) -> bool:
    return any(word in text for word in kind.words)


def note_changes(kind: Kind, count: int, imported: list[str]) -> None:
    """Note what changed; `imported` are modules whose import may have done it."""
    owner = arrivals.here(kind.owner)
    # reading hundreds of options takes longer than most cells
    if kind.token is not None:
        token = kind.token(owner)
        if token == tokens.get(kind.name):
            return
        tokens[kind.name] = token
    before, now = last[kind.name], kind.read(owner)
    if now == before:
        return
    last[kind.name] = now
    # an import of an installed package does the same in the next step; it is no change then
    of_imports = imported and not any_own(imported)
    for name in differing_names(before, now):
        if not of_imports:
            changed_in[kind.name, name] = count
        elif name in now:
            first[kind.name][name] = now[name]
        else:
            first[kind.name].pop(name, None)


def any_own(imported: list[str]) -> bool:
    """Whether there is a module of the project among them: the next step need not import it."""
    for name in imported:
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and traces.is_own(file):
            return True
    return False


def differing_names(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in {**before, **now} if before.get(name, ABSENT) != now.get(name, ABSENT)]


def finish() -> list[list[Any]]:
    """What is not as it was at the beginning, as `[execution count, text]`.

    There is a line for each cell that changed something.
    """
    lines: dict[int, list[str]] = {}
    for kind in KINDS:
        by_cell: dict[int, list[str]] = {}
        for name in differing_names(first.get(kind.name, {}), last.get(kind.name, {})):
            by_cell.setdefault(changed_in.get((kind.name, name), 0), []).append(name)
        for count, names in by_cell.items():
            lines.setdefault(count, []).append(settings_text(kind.name, names))
    return change_lines(lines)


def change_lines(by_cell: dict[int, list[str]]) -> list[list[Any]]:
    """What each cell changed, as `[execution count, text]`."""
    return [
        [count, "it changed " + ", ".join(changes)] for count, changes in sorted(by_cell.items())
    ]


def settings_text(kind: str, names: list[str]) -> str:
    """The kind of settings with the names of those that changed, at most `SHOWN`."""
    shown = [name for name in names if name]
    if not shown:
        return kind
    text = ", ".join(shown[:SHOWN])
    more = len(shown) - SHOWN
    if more > 0:
        text += " and %d more" % more
    return kind + " (" + text + ")"
