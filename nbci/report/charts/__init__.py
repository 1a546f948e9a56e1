"""The report's pictures, as values.

They are the graph of the steps, metrics over the runs, and curves that steps recorded.
"""

from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.step_figures import figures_of

__all__ = ["Figure", "Numbers", "figures_of"]
