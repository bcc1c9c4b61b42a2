"""HTTP as the command line needs it: a connection that is kept, an answer, and what an answer's refusal means.

Owns headers, compression, time limits and the wait that a server asks for. Never knows a token.
"""

from ivrctl.http.answer import Answer, failure, retry_after_s
from ivrctl.http.connection import Connection, UnansweredError

__all__ = ["Answer", "Connection", "UnansweredError", "failure", "retry_after_s"]
