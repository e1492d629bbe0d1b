"""meeting: find a time for several principals, over several turns (paper, appendix A.3)."""
