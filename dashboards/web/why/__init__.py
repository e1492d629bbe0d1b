"""The section "why this score" of the transcript page: one module and one template per family."""
