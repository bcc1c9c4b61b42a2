from ivr_sandbox.clock import VirtualTime


def test_callbacks_come_in_the_order_they_fall_due_each_at_its_own_time(time: VirtualTime) -> None:
    seen: list[tuple[str, float]] = []
    for name, delay in (("late", 2.0), ("early", 1.0), ("early too", 1.0), ("never", 9.0)):
        time.call_later(delay, lambda name=name: seen.append((name, time.time())))  # type: ignore[misc]  # bound now
    time.pass_s(5)
    assert seen == [("early", 1.0), ("early too", 1.0), ("late", 2.0)]
    assert time.time() == 5
    assert time.waiting == 1


def test_a_callback_may_ask_for_another_on_the_way(time: VirtualTime) -> None:
    seen: list[float] = []

    def again(left: int) -> None:
        seen.append(time.time())
        if left:
            time.call_later(1, again, left - 1)

    time.call_later(1, again, 2)
    time.pass_s(10)
    assert seen == [1, 2, 3]


def test_a_cancelled_callback_never_comes(time: VirtualTime) -> None:
    seen: list[int] = []
    timer = time.call_later(1, seen.append, 1)
    timer.cancel()
    time.pass_s(2)
    assert (seen, time.waiting) == ([], 0)
