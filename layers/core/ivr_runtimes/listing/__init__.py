"""The list: what to read, who is alive, which rows to show, and the link to the next page.

`planner` chooses how to read, `narrow` finds the bounds in the filter, `liveness` drops the rows of dead nodes,
`reader` carries the plan out, `paging` writes the headers about pages.
"""
