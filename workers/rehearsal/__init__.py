"""A model provider on loopback for rehearsals and tests: it answers, refuses and fails as it is configured.

In reading order: ``responses`` what goes over the wire · ``wire_format`` how it is worded, in one file a format ·
``server`` the HTTP server · ``fault_profile`` what a rehearsal has to survive · ``fault_injection`` what a fault makes
of a response · ``hard_limits`` what an account may use · ``canned_replies`` what the model says · ``request_log`` what
happened · ``provider`` all of it together · ``worker_killer`` ends worker processes during the run.
"""
