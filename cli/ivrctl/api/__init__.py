"""The REST API as the commands use it: pages of a list, which sites they cover, and one stop.

Owns the paths, the parameters and the patience with an API that is busy. Never prints.
"""

from ivrctl.api.client import IDS_AT_ONCE, Api, Page, Query
from ivrctl.api.coverage import Coverage, least

__all__ = ["IDS_AT_ONCE", "Api", "Coverage", "Page", "Query", "least"]
