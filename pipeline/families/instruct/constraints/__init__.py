"""Verifiable constraints on a text: the 25 kinds of IFEval (Zhou et al. 2023) that a program can check.

:mod:`constraint` declares the kinds and their arguments.  :mod:`published_checkers` checks them like the released
scorer, :mod:`corrected_checkers` like a careful reader.  :mod:`sentences` and :mod:`languages` wrap the libraries of
the released scorer; its results depend on them.  The corrected checkers have their own readers, for texts in any
script: :mod:`visible_text` removes markup; :mod:`words`, :mod:`plain_sentences`, :mod:`list_items` and
:mod:`quotation_marks` find what they are named for; :mod:`written_language` tells the language; :mod:`common_words` is
their table.
"""
