"""Settings of the process and of libraries that a step may change, and how each kind is read."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

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
    encoded = os.environ._data  # type: ignore[attr-defined]  # not announced, but there
    return {os.fsdecode(name): value for name, value in encoded.items()}


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
    words = [action, category.__name__]
    for pattern in (message, module):
        if pattern:
            words.append(str(getattr(pattern, "pattern", pattern)))
    return " ".join(filter(None, words))


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
    method = multiprocessing.get_start_method(allow_none=True)
    # Whoever asks for a context, as joblib does, sets the default one, which changes nothing.
    return {"": method or multiprocessing.get_all_start_methods()[0]}


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
    return texts({name: getattr(settings, name) for name in INLINE_SETTINGS})


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
    members = []
    for kind in pandas_classes(pandas):
        members.append(tuple(vars(kind).values()))
    return members


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
