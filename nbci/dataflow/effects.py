"""Which imports and definitions may do more than bind their names.

Steps that do not use the names of those that do no more run in the same way without them.
"""

from __future__ import annotations

import ast
import sys

from nbci.dataflow.outside import BUILTIN_EXCEPTIONS
from nbci.dataflow.syntax import consists_of, defaults_of, parameters_of, plain_names

WITHOUT_EFFECT = frozenset(
    "IPython PIL altair bokeh boto3 bs4 catboost cloudpickle cv2 dask datasets dill duckdb "
    "fsspec h5py httpx imblearn ipywidgets jax joblib keras lightgbm lxml matplotlib mlflow "
    "msgspec networkx nltk numba numpy onnx onnxruntime openpyxl optuna orjson pandas plotly "
    "polars psutil pyarrow pydantic pyspark ray requests rich scipy skimage skl2onnx sklearn "
    "spacy sqlalchemy statsmodels sympy tabulate tensorflow torch torchaudio torchvision tqdm "
    "transformers wandb xarray xgboost yaml zarr".split()
)
"""Packages whose import changes nothing outside themselves, beside the standard library."""

_DISPLAYS = (
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.Set,
    ast.UnaryOp,
    ast.unaryop,
    ast.expr_context,
)
_ANNOTATIONS = (*_DISPLAYS, ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.BitOr)
_PLAIN_DECORATORS = frozenset({"staticmethod", "classmethod", "property"})
_PROPERTY_PARTS = frozenset({"setter", "getter", "deleter"})
# Python calls it whenever a class is derived, so a base class that has it does more.
_HOOK = "__init_subclass__"
PLAIN_BASES = frozenset({"object", *BUILTIN_EXCEPTIONS})
"""Built-in classes that do nothing when a class is derived from them."""


def may_have_effect(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether importing may register something elsewhere, such as a method of DataFrames.

    Every step runs such an import, whether it uses its names or not.
    """
    if isinstance(node, ast.Import):
        return any(not _is_without_effect(alias.name) for alias in node.names)
    # A relative import is of the project's own code, of which no list says that it does nothing.
    if node.level or not node.module:
        return True
    return not _is_without_effect(node.module)


def _is_without_effect(module: str) -> bool:
    package = module.partition(".")[0]
    return package in WITHOUT_EFFECT or package in sys.stdlib_module_names


def plain_bases(node: ast.stmt) -> tuple[str, ...] | None:
    """The bases of a plain class, () for a plain function, None for what may do more.

    Plain are definitions without decorators and metaclasses, with constant defaults and attributes.
    What a base class does with its subclasses is for the caller to say.
    """
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if node.decorator_list or not _is_plain_function(node):
            return None
        return ()
    if not isinstance(node, ast.ClassDef) or node.decorator_list or node.keywords:
        return None
    bases = plain_names(node.bases)
    # The value of any other expression is known only when it runs.
    if len(bases) != len(node.bases) or not all(map(_is_plain_in_class, node.body)):
        return None
    return tuple(base.id for base in bases)


def _is_plain_in_class(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=targets, value=value):
            return plain_names(targets) == targets and consists_of(value, _DISPLAYS)
        case ast.AnnAssign(target=ast.Name(), annotation=annotation, value=value):
            return consists_of(annotation, _ANNOTATIONS) and consists_of(value, _DISPLAYS)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            plain = node.name != _HOOK and all(map(_is_plain_decorator, node.decorator_list))
            return plain and _is_plain_function(node)
    return False


def _is_plain_decorator(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name):
            return name in _PLAIN_DECORATORS
        case ast.Attribute(value=ast.Name(), attr=part):
            return part in _PROPERTY_PARTS
    return False


def _is_plain_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether defaults are constants and annotations only name types; the body does not run."""
    arguments = node.args
    for default in defaults_of(arguments):
        if not consists_of(default, _DISPLAYS):
            return False
    for parameter in parameters_of(arguments):
        if not consists_of(parameter.annotation, _ANNOTATIONS):
            return False
    return consists_of(node.returns, _ANNOTATIONS)
