"""The engine kit: what an engine needs to speak the engine protocol to its node agent (docs/engine-kit.md)."""
