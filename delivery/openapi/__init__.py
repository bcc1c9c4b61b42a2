"""docs/openapi.json: the REST API for programs, out of the tables that the functions themselves read.

Owns the shape of the document and the words for what no table holds; never a field, an operator, a parameter, a code or
a scope. `python -m delivery.openapi` prints it. Never imported by a function.
"""

from delivery.openapi.document import document, written

__all__ = ["document", "written"]
