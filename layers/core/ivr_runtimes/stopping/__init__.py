"""The stop: what a request asks for, and the command that is sent for it within its deadline."""
