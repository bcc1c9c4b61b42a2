"""How rows are shown: tables for people; JSON, JSON lines, ids and CSV for programs.

Owns columns, widths, colours and formats. What came from the API is neutralised here, whatever the format.
"""

from ivrctl.show.formats import DOCUMENTED, FORMATS, JSON_INDENT, as_json, csv_line, mask_for, write
from ivrctl.show.table import Column, columns_for, draw, of_fields

__all__ = [
    "DOCUMENTED",
    "FORMATS",
    "JSON_INDENT",
    "Column",
    "as_json",
    "columns_for",
    "csv_line",
    "draw",
    "mask_for",
    "of_fields",
    "write",
]
