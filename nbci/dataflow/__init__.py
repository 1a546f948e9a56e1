"""Which names code defines and uses, and which values therefore pass from step to step.

Text in, values out.
"""
