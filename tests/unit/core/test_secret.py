"""Secrets as people have them: with the line end of their file, and now and then worse."""

import pytest

from ivr_runtimes.secret import fault_of, without_line_end, wrong_variables


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r", "\n\n", "\r\n\r\n"])
def test_the_line_ends_of_a_file_are_no_part_of_a_secret(end: str) -> None:
    assert without_line_end(f"se cret{end}") == "se cret"


@pytest.mark.parametrize(
    "secret",
    [
        *(f"Sec{bad}ret" for bad in "\n\r\t\0\x7f\x85\u2028\udcff\u00a0"),
        *(f"{bad}Secret" for bad in "\n\ufeff "),
        "Secret ",
    ],
)
def test_what_no_header_carries_is_refused_and_never_quoted(secret: str) -> None:
    fault = fault_of(secret)
    assert fault is not None
    assert "one line of visible characters" in fault
    assert "Sec" not in fault


@pytest.mark.parametrize("secret", ["", "abc/+=", "two words", "пароль", "a" * 10_000])
def test_anything_else_is_a_secret(secret: str) -> None:
    assert fault_of(secret) is None


def test_each_wrong_variable_of_aws_is_named() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIA\n", "AWS_SECRET_ACCESS_KEY": "ab\ncd", "AWS_SESSION_TOKEN": "x\x1b"}
    assert [line.partition(":")[0] for line in wrong_variables(environ)] == [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ]
