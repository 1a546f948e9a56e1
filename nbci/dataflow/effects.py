"""Which imports may do something that later code relies on without naming what they bind."""

from __future__ import annotations

import ast
import sys

WITHOUT_EFFECT = frozenset(
    "IPython PIL altair bokeh boto3 bs4 catboost cloudpickle cv2 dask datasets dill duckdb fsspec h5py httpx imblearn "
    "ipywidgets jax joblib keras lightgbm lxml matplotlib mlflow msgspec networkx nltk numba numpy onnx onnxruntime "
    "openpyxl optuna orjson pandas plotly polars psutil pyarrow pydantic pyspark ray requests rich scipy skimage "
    "skl2onnx sklearn spacy sqlalchemy statsmodels sympy tabulate tensorflow torch torchaudio torchvision tqdm "
    "transformers wandb xarray xgboost yaml zarr".split()
)
"""Packages whose import changes nothing outside themselves, beside the standard library."""


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
