"""The stop queues in SQS: one per site, each with its dead-letter queue (docs/architecture.md).

Owns the requests only: `command` knows what a message means, the agent when it is finished.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ivr_runtimes.command import Command
from ivr_runtimes.ports import MAX_MESSAGES, Message
from ivr_runtimes.stores.boto import OnServerTime, call

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

GROUP_ID_LENGTH: Final = 128
"""MessageGroupId is at most 128 characters (SQS API reference). Longer domains that share these share a group."""

STAMPS: Final = ("SentTimestamp", "ApproximateFirstReceiveTimestamp")
"""When SQS took and first handed out a message, by its clock, in epoch milliseconds (SQS API reference)."""


class Outbox:
    """Implements `CommandQueue`: `<prefix><site>` is the URL of a site's queue."""

    def __init__(self, client: "SQSClient", queue_url_prefix: str) -> None:
        self._client = client
        self._prefix = queue_url_prefix

    def send(self, command: Command) -> None:
        """Send a command. By the group id, SQS fair queues keep one tenant's flood from delaying others."""
        call(
            self._client.send_message,
            QueueUrl=self._prefix + command.site,
            MessageBody=command.to_body(),
            MessageGroupId=command.domain[:GROUP_ID_LENGTH],
        )


class Inbox:
    """Implements `CommandInbox` on one site's queue."""

    def __init__(
        self,
        client: "SQSClient",
        queue_url: str,
        dead_letter_url: str,
        *,
        on_server_time: OnServerTime | None = None,
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._dead_letter_url = dead_letter_url
        self._on_server_time = on_server_time

    def receive(self, *, wait_s: int) -> list[Message]:
        """Long-poll for at most 10 messages."""
        answer = self._call(
            self._client.receive_message,
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=MAX_MESSAGES,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount", *STAMPS],
        )
        return [_to_message(message) for message in answer.get("Messages", [])]

    def delete(self, receipts: Sequence[str]) -> set[str]:
        """Delete messages, ten to a request."""
        return self._in_batches(self._client.delete_message_batch, receipts)

    def set_visibility(self, receipts: Sequence[str], *, visibility_s: int) -> set[str]:
        """Change messages' visibility timeout, ten to a request."""
        return self._in_batches(self._client.change_message_visibility_batch, receipts, VisibilityTimeout=visibility_s)

    def dead_letter(self, message: Message) -> None:
        """Send the body to the dead-letter queue."""
        self._call(self._client.send_message, QueueUrl=self._dead_letter_url, MessageBody=message.body)

    def _in_batches(self, method: Callable[..., Any], receipts: Sequence[str], **each: Any) -> set[str]:
        refused: set[str] = set()
        for batch in _chunks(receipts, MAX_MESSAGES):
            entries = [{"Id": str(i), "ReceiptHandle": receipt, **each} for i, receipt in enumerate(batch)]
            answer = self._call(method, QueueUrl=self._queue_url, Entries=entries)
            refused |= {batch[int(failure["Id"])] for failure in answer.get("Failed", [])}
        return refused

    def _call(self, method: Callable[..., Any], **request: Any) -> Any:
        return call(method, self._on_server_time, **request)


def _to_message(message: dict[str, Any]) -> Message:
    attributes = message.get("Attributes", {})
    stamps_ms = [int(told) for name in STAMPS if (told := attributes.get(name, "")).isdecimal()]
    return Message(
        body=message["Body"],
        receipt=message["ReceiptHandle"],
        message_id=message["MessageId"],
        receive_count=int(attributes.get("ApproximateReceiveCount", "1")),
        queue_s=max(stamps_ms) / 1000 if stamps_ms else None,
    )


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
