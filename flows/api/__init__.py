"""The Python API, which ``muses_eval`` exports; the commands of :mod:`muses_eval.flows.cli` print what it returns."""
