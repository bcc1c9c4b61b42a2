"""What in Asterisk's configuration keeps calls out of the list, said in the log when it begins.

Owns which of it has been said already. Called by `bridge` after each list of all channels.
"""

import logging
from typing import Final

from ivr_asterisk.publisher import Publisher

log = logging.getLogger(__name__)

VARIABLES: Final = "IVR_NAME,IVR_DOMAIN,IVR_STOPS,IVR_STARTED"
"""What `channelvars` of manager.conf must name."""

MAX_CODES: Final = 5
"""Codes that are named in one line of the log."""


class Advice:
    """What was missing at the last list, and what of it has been said."""

    def __init__(self) -> None:
        self._told_variables = True
        self._without_domain: frozenset[str] = frozenset()
        self._said: frozenset[str] = frozenset()

    def give(self, publisher: Publisher) -> None:
        """Say what is missing and was not said before."""
        if self._told_variables and not publisher.told_variables:
            extra = {"action": "channelvars_missing", "variables": VARIABLES}
            log.error("Asterisk does not tell our variables: name them in channelvars, manager.conf", extra=extra)
        self._told_variables = publisher.told_variables
        missing = publisher.without_domain()
        # A script sets its domain in its first steps: only one that lacks it twice will not do so any more.
        lasting = self._without_domain & missing.keys()
        if new := lasting - self._said:
            codes = sorted({missing[uniqueid] for uniqueid in new})[:MAX_CODES]
            named = {"codes": codes, "channels": len(new)}
            log.warning(
                "scripts without a domain are in nobody's list: set IVR_DOMAIN, or map one",
                extra={"action": "domain_missing", **named},
            )
        self._without_domain, self._said = frozenset(missing), frozenset(lasting)
