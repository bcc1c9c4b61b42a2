"""The query language of the list (docs/query.md): what a caller may ask for, and how it is answered.

Owns all steps from the raw query string to the rows shown: parse, filter, sort, cut, render. Never reads a store.
Called by the list function and by `listing`, whose planner reads `ListQuery.filter` and `.order`: plain data.
"""

from ivr_runtimes.query.request import ListQuery, parse_list_query

__all__ = ["ListQuery", "parse_list_query"]
