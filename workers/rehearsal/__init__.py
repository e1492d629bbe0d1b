"""A model provider on loopback for rehearsals and tests: it answers, refuses and misbehaves as told, and keeps books.

In reading order: ``answers`` what goes over the wire · ``wire_format`` how it is worded, in one file a format ·
``server`` the HTTP server · ``weather`` what a rehearsal has to survive · ``hard_limits`` what an account may use ·
``replies`` what the model says · ``books`` what happened · ``provider`` all of it together · ``kills`` workers that are
ended on the way.
"""
