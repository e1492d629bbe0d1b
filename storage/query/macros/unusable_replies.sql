-- Unusable replies of an episode by kind.  Rows of older versions have flags alone, which say that at least one reply was
-- unusable: it is counted under the first kind that is flagged.
CREATE MACRO unusable_replies(unusable, flags) AS
coalesce(
    unusable,
    {
        'overflowed': list_contains(flags, 'context_overflow')::INTEGER,
        'filtered': (
            list_contains(flags, 'content_filter') AND NOT list_contains(flags, 'context_overflow')
        )::INTEGER,
        'truncated': (
            list_contains(flags, 'length') AND NOT list_has_any(flags, ['context_overflow', 'content_filter'])
        )::INTEGER,
        'empty': (
            list_contains(flags, 'agent_error')
            AND NOT list_has_any(flags, ['context_overflow', 'content_filter', 'length'])
        )::INTEGER,
        'unreadable': (
            list_contains(flags, 'unparsed')
            AND NOT list_has_any(flags, ['context_overflow', 'content_filter', 'length', 'agent_error'])
        )::INTEGER
    }
);
