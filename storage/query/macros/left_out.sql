-- Rows that the averages of the released code leave out: those on which it fails, and those of access without a scored round.
-- The arguments are the published scores of a whole episode.
CREATE MACRO is_left_out(scores) AS
len(
    list_filter(
        scores, lambda s: (s.metric = 'row_error' AND s.value = 1) OR (s.metric = 'scored_rounds' AND s.value = 0)
    )
) > 0;

-- Whether the scores tell that; those of scorer version 1 do not.
CREATE MACRO knows_left_out(scores) AS len(list_filter(scores, lambda s: s.metric = 'row_error')) > 0;
