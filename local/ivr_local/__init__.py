"""The embedded stack: what AWS would run, on one machine (DESIGN section 9)."""
