"""What AWS denies is said as itself, with what to do about it, and not over and over."""

from collections.abc import Callable
from typing import Any

import pytest

from ivr_agent.aws.clock import Clock
from ivr_agent.aws.denial import Denials
from ivr_agent.aws.service import Service
from ivr_agent.engine.memory import EPOCH_S, ManualTime
from ivr_agent.health import Health
from ivr_agent.process.repeats import MOST_S
from ivr_runtimes.errors import Denial, DeniedError
from ivr_runtimes.stores.boto import DENIALS

Said = Callable[[], list[dict[str, Any]]]


async def test_a_missing_permission_is_said_once_with_its_remedy(
    health: Health, denials: Denials, said: Said, time: ManualTime
) -> None:
    """A wrong site, table or credential looked like a short absence of AWS: `lease_not_renewed`, for ever."""
    service = Service("dynamodb", size=1, health=health, denials=denials, purpose="test")

    def denied() -> None:
        raise DeniedError("not authorized", code="AccessDeniedException")

    for _ in range(3):
        with pytest.raises(DeniedError):
            await service(denied)
    service.close()
    (line,) = said()
    assert (line["action"], line["level"]) == ("aws_denies", "error")
    assert (line["service"], line["code"]) == ("dynamodb", "AccessDeniedException")
    assert "site" in line["remedy"]
    assert health.aws == {"dynamodb": False}
    time.pass_s(MOST_S)
    denials.note("dynamodb", DeniedError("not authorized", code="AccessDeniedException"))
    assert len(said()) == 2


@pytest.mark.parametrize(
    ("code", "named"), [("ResourceNotFoundException", "nodes_table"), ("QueueDoesNotExist", "queue_url")]
)
def test_a_missing_table_or_queue_names_the_settings(denials: Denials, said: Said, code: str, named: str) -> None:
    denials.note("any", DeniedError("no such thing", code=code, denial=DENIALS[code]))
    assert named in said()[0]["remedy"]


@pytest.mark.parametrize(
    ("ahead_s", "action"), [(600, "host_clock_wrong"), (-600, "host_clock_wrong"), (5, "aws_denies")]
)
def test_a_host_clock_that_is_minutes_off_is_blamed_for_a_wrong_signature(
    time: ManualTime, said: Said, ahead_s: float, action: str
) -> None:
    """Leases do not hang on the host's clock, but signatures do, and the emulators do not check them."""
    clock = Clock(monotonic=time, wall=lambda: EPOCH_S + ahead_s)
    clock.observe(EPOCH_S)
    Denials(clock).note("dynamodb", DeniedError("signature", code="InvalidSignatureException", denial=Denial.SIGNATURE))
    (line,) = said()
    assert line["action"] == action
    assert line.get("ahead_s", ahead_s) == pytest.approx(ahead_s, abs=2)
