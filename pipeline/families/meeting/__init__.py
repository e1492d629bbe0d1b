"""meeting: find a time for several principals over rounds (paper, appendix A.3)."""
