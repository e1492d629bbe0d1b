"""The configuration of a run: what users write in YAML, as the frozen values that everybody uses.

One noun a file.  Names in ``...Config`` are sections that only a configuration has; ``RunConfig`` is the whole.  All
others, such as ``Sampling``, are plain frozen dataclasses that also travel to workers.  pydantic reads both from text;
a dataclass that code makes itself is not checked.

A model has two forms: ``ModelConfig`` is what was written, which a manifest stores; ``ModelSpec`` is what it stands
for, with its address, its key and its prices looked up.

Import from the files: ``pipeline.plan.plan`` and ``pipeline.prices`` use some of them and are used by others.
"""
