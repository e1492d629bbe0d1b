"""How the models of each provider are asked: one adapter file a wire format.

In reading order: ``adapter`` what a wire format has to provide · one file for each format · ``api_error`` what an error
means · ``open_model`` from a model's description to its client.  The table of the providers themselves is
``pipeline/providers.py``; docs/providers.md says how to add one.
"""
