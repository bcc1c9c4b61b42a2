"""What the stop function and the agents rely on from a site's queue, whichever store stands behind the ports."""

import time

from ivr_runtimes.command import Command
from ivr_runtimes.model import Verb
from rows import PLAYER


def command(number: int = 1, **changes) -> Command:
    values = {
        "stop_id": f"key-{number}",
        "verb": Verb.EXTERNAL_STOP,
        "site": PLAYER.site,
        "node": PLAYER.node,
        "session": PLAYER.session,
        "runtime_id": PLAYER.id,
        "domain": PLAYER.domain,
        "requested_by": "operator",
        "accepted_at_s": 1000.5,
        "deadline_s": 4600.5,
    }
    return Command(**{**values, **changes})


def received(inbox, *, wait_s: int = 2):
    return {Command.from_body(message.body).stop_id: message for message in inbox.receive(wait_s=wait_s)}


def test_a_command_arrives_as_it_was_sent(stores):
    stores.outbox.send(command())
    (message,) = stores.inbox.receive(wait_s=2)
    assert Command.from_body(message.body) == command()
    assert message.receive_count == 1


def test_an_empty_queue_answers_with_nothing(stores):
    assert stores.inbox.receive(wait_s=0) == []


def test_a_message_tells_the_queues_own_time(stores):
    """It is a witness when a deadline is judged: the agent's own clock may be the wrong one."""
    stores.outbox.send(command())
    (message,) = stores.inbox.receive(wait_s=2)
    assert abs(message.queue_s - time.time()) < 30


def test_a_received_message_is_hidden_until_it_is_handed_back(stores):
    stores.outbox.send(command())
    (message,) = stores.inbox.receive(wait_s=2)
    assert stores.inbox.receive(wait_s=0) == []
    assert stores.inbox.set_visibility([message.receipt], visibility_s=0) == set()
    (again,) = stores.inbox.receive(wait_s=2)
    assert (again.message_id, again.receive_count) == (message.message_id, 2)


def test_visibility_ends_after_the_seconds_asked_for(stores):
    stores.outbox.send(command())
    (message,) = stores.inbox.receive(wait_s=2)
    stores.inbox.set_visibility([message.receipt], visibility_s=3)
    assert stores.inbox.receive(wait_s=0) == []
    time.sleep(3.1)
    assert [m.message_id for m in stores.inbox.receive(wait_s=2)] == [message.message_id]


def test_a_deleted_message_never_comes_back(stores):
    for number in range(3):
        stores.outbox.send(command(number))
    messages = received(stores.inbox)
    assert stores.inbox.delete([messages["key-0"].receipt, messages["key-2"].receipt]) == set()
    stores.inbox.set_visibility([messages["key-1"].receipt], visibility_s=0)
    assert list(received(stores.inbox)) == ["key-1"]


def test_more_than_ten_receipts_are_handled_in_batches(stores):
    for number in range(23):
        stores.outbox.send(command(number))
    receipts: list[str] = []
    while messages := stores.inbox.receive(wait_s=0):
        assert len(messages) <= 10
        receipts += [message.receipt for message in messages]
    assert len(receipts) == 23
    assert stores.inbox.delete(receipts) == set()
    assert stores.inbox.receive(wait_s=0) == []


def test_a_dead_letter_keeps_the_body(stores):
    stores.outbox.send(command())
    (message,) = stores.inbox.receive(wait_s=2)
    stores.inbox.dead_letter(message)
    stores.inbox.delete([message.receipt])
    assert [Command.from_body(body) for body in stores.dead_letters()] == [command()]
