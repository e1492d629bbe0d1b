"""access: guard a confidential resource over rounds against unauthorised principals (paper, appendix A.3)."""
