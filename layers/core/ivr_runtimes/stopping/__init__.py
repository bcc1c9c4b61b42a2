"""The stop: what a request asks for, and the command that is sent for it in time."""
