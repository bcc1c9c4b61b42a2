"""The core of the control plane: what a runtime is, how lists are asked for, how stops are commanded.

Owns the model, the query language, the use cases (`listing`, `stopping`) and the stores behind them.
Never imports its users (functions, agent, embedded stack). Only `stores` knows the AWS SDK.
"""

__version__ = "0.1.0"
