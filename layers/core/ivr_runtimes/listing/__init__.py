"""The list: what to read, who is alive, which rows to show, and the link to the next page.

`planner` chooses the read, `narrow` its bounds, `roster` the living nodes; `reader` carries the plan out.
"""
