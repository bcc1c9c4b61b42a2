"""HTTP API events in, proxy responses out: who calls, what a response looks like, which metrics are counted.

What both functions put around their use case. It knows neither list nor stop.
"""

from ivr_runtimes.http.caller import Caller
from ivr_runtimes.http.event import Event, header, path_parameter, raw_query
from ivr_runtimes.http.preference import preferred

__all__ = ["Caller", "Event", "header", "path_parameter", "preferred", "raw_query"]
