"""queue: accept or refuse instructions under authority and a global objective (paper, appendix A.3; one turn)."""
