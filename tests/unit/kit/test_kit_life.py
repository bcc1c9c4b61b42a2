"""The life of an engine behind a bridge: what the agent is told before, while and after its runtimes are known."""

import asyncio
from collections.abc import Callable

import pytest

from ivr_engine.answers import Answers
from ivr_engine.life import Life, Times
from ivr_engine.model import AwayError, Event
from ivr_engine.reconnect import LostError
from ivr_engine.reporter import Reporter

TIMES = Times(look_every_s=3, list_lag_s=0.5, silent_s=10)


class Quiet(Reporter):
    """Tells nobody."""

    def __init__(self, time: Callable[[], float]) -> None:
        super().__init__(session="", time=time)

    def put(self, event: Event) -> None:
        pass


class Engine:
    """An engine whose time passes while its bridge waits; it answers looks while `answers`."""

    def __init__(self) -> None:
        self.now_s, self.answers = 100.0, True
        self.course: list[str] = []
        self.life = Life(Quiet(self.time), time=self.time)
        self.end_after = 6

    def time(self) -> float:
        return self.now_s

    async def look(self, *, everything: bool) -> None:
        self.course.append("everything" if everything else "differences")
        if not self.answers:
            raise TimeoutError
        self.life.answered()

    async def lost(self, *, within_s: float) -> None:
        self.now_s += within_s
        self.course.append(f"waits {within_s:g}")
        if len(self.course) > self.end_after:
            raise LostError("the end of the test")

    def served(self) -> None:
        self.course.append("serves")

    async def follow(self) -> str:
        with pytest.raises(LostError) as caught:
            await self.life.follow(self.look, self.lost, self.served, TIMES)
        return str(caught.value)


async def test_nothing_is_told_before_everything_was_looked_at_twice() -> None:
    engine = Engine()
    engine.life.begin("one", seq=7)
    assert engine.life.session is None
    with pytest.raises(AwayError):
        engine.life.snapshot()
    await engine.follow()
    assert engine.course == ["everything", "waits 0.5", "differences", "serves", "waits 3", "differences", "waits 3"]
    assert (engine.life.session, engine.life.snapshot().seq) == ("one", 7)


async def test_another_life_is_not_known_until_it_was_looked_at() -> None:
    engine = Engine()
    engine.life.begin("one", seq=0)
    await engine.follow()
    engine.life.begin("two", seq=0)
    assert engine.life.session is None


async def test_an_engine_that_answers_no_look_is_lost_after_its_time() -> None:
    engine = Engine()
    engine.life.begin("one", seq=0)
    engine.end_after = 99
    served = engine.served

    def silenced() -> None:
        served()
        engine.answers = False

    engine.served = silenced  # type: ignore[method-assign]  # from then on
    assert await engine.follow() == "the engine has not answered for 10 s"
    assert engine.life.answered_s == 12


async def test_an_answer_counts_from_when_it_was_asked_for() -> None:
    engine = Engine()
    asked_at = engine.life.now()
    engine.now_s += 5
    engine.life.answered(asked_at)
    assert engine.life.answered_s == 5
    engine.life.answered()
    engine.life.answered(asked_at)
    assert engine.life.answered_s == 0, "an older one takes nothing back"


async def test_answers_end_with_their_connection() -> None:
    answers = Answers()
    early, late, given = answers.expect(), answers.expect(), answers.expect()
    answers.give(given, "yes")
    answers.give(given, "again")
    answers.give(None, "nobody waits for it")
    answers.lose(LostError("gone"))
    answers.lose(LostError("gone again"))
    answers.give(early, "too late")
    assert await given == "yes"
    for one in (early, late):
        with pytest.raises(LostError, match=r"^gone$"):
            await one
    with pytest.raises(LostError, match=r"^gone$"):
        answers.expect()
    with pytest.raises(LostError, match=r"^gone$"):
        await answers.lost(within_s=5)


async def test_a_connection_that_lasts_is_waited_for_so_long() -> None:
    begun = asyncio.get_running_loop().time()
    await Answers().lost(within_s=0.05)
    assert asyncio.get_running_loop().time() - begun >= 0.05
