"""Agreement of both scorings with recorded verdicts: results of the released scorer, and judgements of a person.

:mod:`muses_eval.pipeline.agreement.verdict` compares one case, :mod:`muses_eval.pipeline.agreement.readings` the cases
that concern a part of a reply, such as a time or an attendee list.
"""
