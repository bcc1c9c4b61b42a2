"""A FreeSWITCH for tests: it runs a dialplan and speaks the Event Socket as the recordings of a real one show.

`switch` has the channels and what commands do, `dialplan` what they execute, `server` the connections.
"""
