"""The embedded stack: what AWS would run, on one machine (docs/local.md)."""
