"""`ivrctl`: lists, watches and stops running IVR scripts from a terminal (docs/cli.md).

Speaks the REST API only. Of the core it knows the fields, the operators, the identifiers and the version.

A program that is started for every look must not spend its time on imports. So what one command needs is imported by
that command, and what all of them import uses neither `dataclasses` nor the core: records are named tuples.
"""
