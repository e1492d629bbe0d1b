"""A fake model provider on loopback, for rehearsals and tests: it answers, refuses and fails as it is configured.

In reading order: ``responses`` HTTP responses · ``wire_format`` the interface of a wire format, and one file for each
format · ``server`` the HTTP server · ``fault_profile`` latency, limits and faults, as users configure them ·
``fault_injection`` the effect of a fault on a response · ``hard_limits`` the limits of an account · ``canned_replies``
the model's texts · ``request_log`` all requests and their outcomes · ``provider`` the whole provider ·
``worker_killer`` kills worker processes during the run.
"""
