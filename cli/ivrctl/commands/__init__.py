"""The commands: a module each, imported only when it is called.

Each has `add(parser)`, which describes it, and `run(call)`, which returns the exit code. `program` lists them.
"""
