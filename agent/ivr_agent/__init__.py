"""The node agent: one beside each IVR engine (docs/agent.md).

Keeps the tables equal to what its engine runs and carries stop commands to it. Talks to the engine only over
docs/engine-protocol.md and to AWS only through the core's ports.
"""

from ivr_runtimes import __version__

__all__ = ["__version__"]
