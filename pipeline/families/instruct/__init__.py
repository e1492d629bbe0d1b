"""instruct: carry out each principal's instruction under verifiable constraints (paper, appendix A.3; one turn)."""
