"""Which imports and definitions may do more than bind their names.

Steps that do not use the names of those that do no more run in the same way without them.
"""

from __future__ import annotations

import ast
import builtins
import sys

WITHOUT_EFFECT = frozenset(
    "IPython PIL altair bokeh boto3 bs4 catboost cloudpickle cv2 dask datasets dill duckdb fsspec h5py httpx imblearn "
    "ipywidgets jax joblib keras lightgbm lxml matplotlib mlflow msgspec networkx nltk numba numpy onnx onnxruntime "
    "openpyxl optuna orjson pandas plotly polars psutil pyarrow pydantic pyspark ray requests rich scipy skimage "
    "skl2onnx sklearn spacy sqlalchemy statsmodels sympy tabulate tensorflow torch torchaudio torchvision tqdm "
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
PLAIN_BASES = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
) | {"object"}
"""Built-in classes that do nothing when a class is derived from them."""


def may_have_effect(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether importing may register something elsewhere, such as a method of DataFrames.

    Every step runs such an import, whether it uses its names or not.
    """
    modules = (
        [alias.name for alias in node.names]
        if isinstance(node, ast.Import)
        else [node.module or "."]
    )
    roots = {name.partition(".")[0] for name in modules}
    # A relative import is of the project's own code, of which no list says that it does nothing.
    is_relative = isinstance(node, ast.ImportFrom) and node.level > 0
    return is_relative or not roots <= WITHOUT_EFFECT | sys.stdlib_module_names


def plain_bases(node: ast.stmt) -> tuple[str, ...] | None:
    """The bases of a plain class, () for a plain function, None for what may do more.

    Plain are definitions without decorators and metaclasses, with constant defaults and attributes.
    What a base class does with its subclasses is for the caller to say.
    """
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return () if not node.decorator_list and _is_plain_function(node) else None
    if not isinstance(node, ast.ClassDef) or node.decorator_list or node.keywords:
        return None
    bases = tuple(base.id for base in node.bases if isinstance(base, ast.Name))
    if len(bases) != len(node.bases) or not all(map(_is_plain_in_class, node.body)):
        return None
    return bases


def _is_plain_in_class(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=targets, value=value):
            return all(isinstance(target, ast.Name) for target in targets) and _consists_of(
                value, _DISPLAYS
            )
        case ast.AnnAssign(target=ast.Name(), annotation=annotation, value=value):
            return _consists_of(annotation, _ANNOTATIONS) and (
                value is None or _consists_of(value, _DISPLAYS)
            )
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
    defaults = [
        *arguments.defaults,
        *(default for default in arguments.kw_defaults if default is not None),
    ]
    named = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    annotations = [
        argument.annotation for argument in named if argument is not None and argument.annotation
    ]
    annotations += [node.returns] if node.returns is not None else []
    return all(_consists_of(default, _DISPLAYS) for default in defaults) and all(
        _consists_of(annotation, _ANNOTATIONS) for annotation in annotations
    )


def _consists_of(node: ast.expr, kinds: tuple[type[ast.AST], ...]) -> bool:
    return all(isinstance(part, kinds) for part in ast.walk(node))
