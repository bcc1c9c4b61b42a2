"""An Asterisk of the tests' own: it speaks AMI, runs dialplans, and replays what real ones said.

`Asterisk` is one engine with its channels, `Server` lets managers in over TCP or TLS, `Quirks` are what real engines do
and nobody expects, `Faults` what goes wrong with them. `read` and `Replay` give recorded sessions back.
"""

from ami import applications, bridges  # noqa: F401  # they enter their applications into the table
from ami.asterisk import Asterisk, Settings
from ami.dialplan import Dialplan
from ami.quirks import Faults, Quirks
from ami.recording import Chunk, read
from ami.replay import Replay
from ami.server import Server
from ami.users import User

__all__ = ["Asterisk", "Chunk", "Dialplan", "Faults", "Quirks", "Replay", "Server", "Settings", "User", "read"]
