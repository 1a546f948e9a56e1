"""The rule about settings of the process and of libraries, which hold in one step only.

Each step has a process to itself, so later steps do not see them.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from nbci.dataflow.dotted import dotted_name
from nbci.lint.calls import magic
from nbci.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.lint.notebook_facts import NotebookFacts

_SETTERS = frozenset(
    """
    atexit.register codecs.register codecs.register_error copyreg.pickle csv.field_size_limit
    csv.register_dialect
    decimal.setcontext gc.disable gc.enable gc.freeze gc.set_threshold locale.setlocale
    logging.addLevelName logging.basicConfig logging.captureWarnings logging.config.dictConfig
    logging.config.fileConfig logging.disable logging.setLoggerClass
    mimetypes.add_type multiprocessing.set_start_method os.nice os.sched_setaffinity os.umask
    resource.setrlimit
    signal.alarm signal.setitimer signal.signal socket.setdefaulttimeout sys.set_int_max_str_digits
    sys.setrecursionlimit sys.setswitchinterval sys.path.append sys.path.extend sys.path.insert
    sys.path.remove
    threading.stack_size time.tzset urllib.request.install_opener
    warnings.filterwarnings warnings.resetwarnings warnings.simplefilter
    IPython.display.set_matplotlib_formats matplotlib_inline.backend_inline.set_matplotlib_formats
    altair.data_transformers.disable_max_rows altair.data_transformers.enable
    altair.renderers.enable
    altair.themes.enable cv2.setNumThreads cv2.setRNGSeed dask.config.set dotenv.load_dotenv
    jax.config.update
    matplotlib.use matplotlib.pyplot.ioff matplotlib.pyplot.ion matplotlib.pyplot.switch_backend
    mlflow.autolog mlflow.set_experiment mlflow.set_tracking_uri nest_asyncio.apply
    numexpr.set_num_threads
    numpy.set_printoptions numpy.seterr numpy.seterrcall
    pandas.reset_option pandas.set_option pandas.set_eng_float_format
    pandas.api.extensions.register_dataframe_accessor pandas.api.extensions.register_index_accessor
    pandas.api.extensions.register_series_accessor plotly.offline.init_notebook_mode
    pyarrow.set_cpu_count
    sklearn.set_config sympy.init_printing
    tensorflow.config.threading.set_inter_op_parallelism_threads
    tensorflow.config.threading.set_intra_op_parallelism_threads tensorflow.keras.backend.set_floatx
    torch.set_default_device torch.set_default_dtype torch.set_default_tensor_type
    torch.set_float32_matmul_precision torch.set_grad_enabled torch.set_num_threads
    torch.set_printoptions
    torch.use_deterministic_algorithms tqdm.auto.tqdm.pandas tqdm.notebook.tqdm.pandas
    tqdm.tqdm.pandas
    xarray.set_options
    """.split()
)
_SETTER_GROUPS = (
    "polars.Config.set_",
    "transformers.logging.set_verbosity",
    "optuna.logging.set_verbosity",
)
_METHODS = frozenset({"setLevel", "addHandler", "removeHandler"})
_CONTEXTS = re.compile(r"context|catch_warnings|errstate|printoptions|set_options|config\.set")
_MAGICS = frozenset(
    "alias autoreload colors config load_ext pprint precision reload_ext xmode".split()
)
# environment-change and plot-settings report these
_OTHER_RULES = ("os.environ", "matplotlib.rcParams", "matplotlib.pyplot.rcParams")


def process_state(facts: NotebookFacts) -> Iterator[Hit]:
    """Settings that a step changes and the steps after it do not see."""
    for step in facts.steps:
        if facts.is_last(step):
            continue
        for number, cell in facts.own_cells(step).items():
            # one line can make the same change twice, as `a.b = a.b = 1` does
            for line, what in dict.fromkeys(_changes(cell.tree, facts.imported_names)):
                yield Hit(
                    message=f"{what} holds in step {step.name} only, not in the steps after it",
                    hint="put it in a cell tagged `imports`, which every step runs",
                    cell=number,
                    line=line,
                )


def _changes(node: ast.AST, names: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Where the code changes settings for good, and what does it."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.With(items=items) if any(map(_restores, items)):
                continue
            case ast.Call(func=func):
                yield from _of_call(child, dotted_name(func, names) or "")
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield from _of_attribute(child, names)
        yield from _changes(child, names)


def _restores(item: ast.withitem) -> bool:
    """Whether leaving this context sets back what was set within it."""
    return _CONTEXTS.search(ast.unparse(item.context_expr)) is not None


def _of_call(call: ast.Call, name: str) -> Iterator[tuple[int, str]]:
    found = magic(call)
    if found is not None and found[0] in _MAGICS:
        yield call.lineno, f"`%{found[0]}`"
    elif name in _SETTERS or name.startswith(_SETTER_GROUPS):
        yield call.lineno, f"`{name}`"
    elif isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
        yield call.lineno, f"`{call.func.attr}` of a logger"


def _of_attribute(node: ast.Attribute, names: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield assignments to an attribute of an imported object, or of decimal's context."""
    if isinstance(node.value, ast.Call):
        if dotted_name(node.value.func, names) == "decimal.getcontext":
            yield node.lineno, "a change of decimal's context"
        return
    name = dotted_name(node, names) or ""
    if "." in name and not name.startswith(_OTHER_RULES):
        yield node.lineno, f"a change of `{name}`"
