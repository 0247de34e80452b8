"""Files of weights: where they come from, reading them safely, names, strict loading.

Import what you need from the modules; this package imports nothing by itself.
"""
