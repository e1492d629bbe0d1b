"""The configuration of a run: the YAML that users write, as frozen values.

Each file defines one section.  Classes called ``...Config`` exist only in a configuration; ``RunConfig`` is the root.
All others, such as ``Sampling``, are frozen dataclasses that are also sent to workers.  pydantic validates both when it
reads a configuration.  A dataclass that code creates directly is not validated.

A model has two forms.  ``ModelConfig`` is the section as written, which a manifest stores.  ``ModelSpec`` is the
resolved model, with its address, the name of its key and its prices.

Import from the files of this package, not from the package: ``muses_eval.pipeline.plan.plan`` and
``muses_eval.pipeline.prices`` import some of them and are imported by others.
"""
