"""A small IVR engine that runs real scripts; a reference for integrators."""
