"""The report's pictures, as values: the graph of the steps, metrics over the runs, curves that steps recorded."""

from nbci.report.figures.figure import Figure, Numbers

__all__ = ["Figure", "Numbers"]
