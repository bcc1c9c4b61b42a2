"""Access: how a token is had, kept and renewed.

Owns the grants of OAuth 2.0 and the cache of tokens, readable by its owner alone. Never shows a token.
"""

from ivrctl.access.cache import read as read_cached
from ivrctl.access.cache import write as write_cached
from ivrctl.access.claims import claims_of
from ivrctl.access.grants import discovered
from ivrctl.access.tokens import Tokens

__all__ = ["Tokens", "claims_of", "discovered", "read_cached", "write_cached"]
