"""A small IVR engine that really interprets scripts; a reference for integrators."""
