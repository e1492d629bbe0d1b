"""Clients of model providers, with one adapter for each wire format.

In reading order: ``model`` the interface of a model · ``chat_request`` a call of a harness · ``adapter`` the interface
of a wire format · one file for each format · ``api_error`` the meaning of an error · ``chat_api`` one call, with
``http_client``, ``retries``, ``load_balancer`` and ``circuit_breaker`` · ``fail_fast`` and ``response_cache`` around a
model · ``scripted`` built-in models · ``open_model`` from a model's config to its client.  The table of providers is
``pipeline/providers.py``; docs/providers.md describes how to add one.
"""
