"""access: guard a confidential resource against unauthorised principals, over several turns (paper, appendix A.3)."""
