"""The chaos harness: breaks the embedded stack on purpose and judges what became of every stop (docs/chaos.md)."""
