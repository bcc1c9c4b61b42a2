"""Which sites an answer covers, by its header `Site-Nodes: SITE1=2/2, SITE2=0/2` (docs/api.md).

Owns the difference between nothing that runs and nobody who could say: what is not covered is named.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

HEADER: Final = "site-nodes"
_SITE: Final = re.compile(r"([A-Za-z][A-Za-z0-9]{0,31})=(\d{1,6})/(\d{1,6})", re.ASCII)


class Coverage(NamedTuple):
    """Per site, the nodes alive and the nodes known; `known` is false if the answer did not say."""

    sites: dict[str, tuple[int, int]]
    known: bool = True

    def gaps(self) -> list[str]:
        """Name the sites whose nodes do not all answer; empty if the answer covers all of them."""
        if not self.known:
            return ["the answer does not say which sites it covers"]
        return [
            f"{site}: {live} of {nodes} nodes answer"
            for site, (live, nodes) in sorted(self.sites.items())
            if live < nodes
        ]

    def covers(self, site: str) -> bool:
        """Tell whether all known nodes of a site answered."""
        live, nodes = self.sites.get(site, (0, 1))
        return self.known and live >= nodes

    def as_json(self) -> dict[str, Any]:
        """Return it for `-o json`."""
        sites = [{"site": site, "live": live, "known": nodes} for site, (live, nodes) in sorted(self.sites.items())]
        return {"complete": not self.gaps(), "sites": sites if self.known else None}


def read(header: str | None) -> Coverage:
    """Read the header; without one, or with one that makes no sense, nothing is known."""
    found = [_SITE.fullmatch(part.strip()) for part in (header or "").split(",")]
    if not all(found):
        return Coverage({}, known=False)
    return Coverage({each[1]: (int(each[2]), int(each[3])) for each in found if each})


def least(coverages: Iterable[Coverage]) -> Coverage:
    """Return what several answers cover together: of each site the fewest nodes that answered."""
    sites: dict[str, tuple[int, int]] = {}
    known = False
    for coverage in coverages:
        if not coverage.known:
            return Coverage({}, known=False)
        known = True
        for site, (live, nodes) in coverage.sites.items():
            before = sites.get(site, (live, nodes))
            sites[site] = (min(live, before[0]), max(nodes, before[1]))
    return Coverage(sites, known=known)
