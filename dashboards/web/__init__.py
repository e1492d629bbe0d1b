"""The web pages, served live (``muses dashboard serve``) and exported as files (``muses dashboard export``).

A page consists of a function in ``pages/`` that queries a :class:`~.store_cache.StoreCache` and returns a
:class:`~.page.Page` of plain values, a template in ``templates/``, and an entry of ``routes.ROUTES`` with its path.
Paths end in ``.html`` and links are relative, so the same HTML works on a server, in a bucket and in a folder.
``charts.py`` draws charts as SVG; scripts only sort tables, filter and save, and every page is readable without them.

Text from models is hostile: templates escape all values, SVG contains only escaped text, and the server's content
security policy allows no script except ``static/site.js``.
"""
