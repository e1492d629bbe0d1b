"""The web pages: the same pages live (``muses dashboard serve``) and as files (``muses dashboard export``).

A page is three things: a function in ``pages/`` that reads plain values from a ``store_cache.Shelf`` and returns a
:class:`~.page.Page`, a template of the same name in ``templates/``, and a line in
``routes.ROUTES`` that says at which paths it stands.  Paths end in ``.html`` and links are relative, so that the same
HTML works from a server, a bucket and a folder.  Charts are SVG that ``charts.py`` draws; scripts only sort and filter
what is there, and every page can be read without them.

Model text is hostile: templates escape everything, SVG is built from escaped text, and the server's policy lets no
script run but ``static/site.js``.
"""
