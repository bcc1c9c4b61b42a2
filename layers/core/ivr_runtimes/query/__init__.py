"""The query language of the list (docs/query.md): what a caller may ask for, and how it is answered.

Owns the whole way from API Gateway's raw query string to rows filtered, ordered, cut and shown. Never reads a store.
Called by the list's use case; a planner may look into `ListQuery.filter` and `.order`, which are plain data.
"""

from ivr_runtimes.query.request import ListQuery, parse_list_query

__all__ = ["ListQuery", "parse_list_query"]
