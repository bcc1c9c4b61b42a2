from uuid import UUID

import pytest

from ivr_sandbox.ids import runtime_id, starttime


@pytest.mark.parametrize(
    ("random_bits", "started_us", "node_number", "expected_id", "expected_start"),
    [
        (0x244F84AA, 1_572_943_000_025_000, 6, "244f84aa-0624-e639-8061-a80000000006", "2019-11-05T08:36:40Z"),
        (0x6B3BA923, 1_572_953_494_782_000, 8, "6b3ba923-0624-e8c9-6bee-b00000000008", "2019-11-05T11:31:34Z"),
    ],
)
def test_the_contracts_examples_come_from_their_start_and_node(
    random_bits: int, started_us: int, node_number: int, expected_id: str, expected_start: str
) -> None:
    assert runtime_id(started_us, node_number=node_number, random_bits=random_bits) == expected_id
    assert starttime(started_us) == expected_start


def test_the_largest_values_of_every_part_fit() -> None:
    last_us = 65_535_999_999_999_999
    made = UUID(runtime_id(last_us, node_number=(1 << 40) - 1, random_bits=(1 << 32) - 1))
    assert made.int >> 96 == (1 << 32) - 1
    assert made.int >> 80 & 0xFFFF == 65_535
    assert made.int >> 60 & 0xFFFFF == 999_999
    assert made.int >> 40 & 0xFFFFF == 999_999
    assert made.int & (1 << 40) - 1 == (1 << 40) - 1


def test_a_start_is_cut_to_whole_seconds_not_rounded() -> None:
    assert starttime(1_572_943_000_999_999) == "2019-11-05T08:36:40Z"
