"""Notebooks in CI: tagged Jupyter notebooks run as pipelines."""

__version__ = "0.2.0"
