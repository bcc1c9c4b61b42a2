"""The conformance kit of the engine protocol: checks anyone's engine against docs/engine-protocol.md.

`python -m ivr_engine.conformance --engine ADDRESS`. `subject` talks to the engine, `reads` and `stops` hold the checks,
`events` listens in the agent's place, `kit` runs the checks and judges. Never used by a running engine.
"""
