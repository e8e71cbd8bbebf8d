"""Which passwords may be chosen, and why not."""

import time

import pytest

from adapters.security.common_passwords import CommonPasswords
from domain.errors import ErrorCode, InvalidInput
from domain.passwords import is_long, new_password

COMMON = CommonPasswords()
EMAIL = "margaret.h@example.com"


def refusal(said: str, *, second_factor: bool = False, email: str = EMAIL) -> str | None:
    try:
        new_password(
            said, email=email, common=COMMON, second_factor=second_factor, field=("newPassword",)
        )
    except InvalidInput as error:
        refused = error
    else:
        return None
    assert (refused.code, refused.field) == (ErrorCode.WEAK_PASSWORD, ("newPassword",))
    return refused.message


@pytest.mark.parametrize(
    "good",
    [
        "correct-horse-battery-staple",
        "correcthorsebatterystaple",
        "only lower case",  # 15
        "849302175566021",
        "Zwölf Boxkämpfer jagen Viktor",
        "密码学是一门非常有趣的学问对吧",
        "🐎🔋📎✅🎯🧊🪁🧵🪢🧶🥁🎺🪗🎻🪘",
        "x" * 255 + "y",
        " leading and trailing ",
    ],
)
def test_length_is_enough_whatever_it_is_made_of(good: str) -> None:
    assert refusal(good) is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "at least 15 characters"),
        ("Tr0ub4dor&3!zQ", "at least 15 characters"),
        ("\ufb03" * 5 + "e\u0301" * 7, None),  # 19 as typed, 22 as hashed
        ("e\u0301" * 7 + "x", "at least 15 characters"),  # 15 as typed, 8 as hashed
        ("x" * 256 + "y", "at most 256 characters"),
        ("a lone \ud800 surrogate", "half a character"),
        ("123456789012345", "most common"),
        ("passwordpassword", "most common"),
        ("ILoveYouILoveYou", "most common"),
        ("password1234567", "with something around it"),
        ("".join(chr(ord(c) + 0xFEE0) for c in "PASSWORD!20262026"), "with something around it"),
        ("qwertyuiopasdfghjkl", "two of the most common"),
        ("aaaaaaaaaaaaaaaa", "a row of characters"),
        ("abcdefghijklmnopq", "a row of characters"),
        ("zyxwvutsrqponmlkj", "a row of characters"),
        ("horse horse horse horse", "one short thing again and again"),
        ("my margaret.h and I", "your own name"),
        ("I am Margaret.H@Example.com!", "your own address"),
    ],
)
def test_what_is_guessed_early_is_refused_with_the_reason(bad: str, why: str | None) -> None:
    message = refusal(bad)
    assert message is None if why is None else why in (message or "")


def test_what_is_far_too_long_is_refused_before_it_is_brought_into_a_normal_form() -> None:
    began = time.perf_counter()
    marks = "a" + "\u0301" * 20_000 + "\u0316" * 20_000  # which have to change places

    assert "at most 256 characters" in (refusal(marks) or "")
    assert time.perf_counter() - began < 0.5


def test_with_a_second_factor_eight_characters_are_enough_and_the_rest_holds() -> None:
    assert refusal("kWz9!rt4", second_factor=True) is None
    assert "at least 8" in (refusal("kWz9!rt", second_factor=True) or "")
    assert "most common" in (refusal("password", second_factor=True) or "")
    assert "your own name" in (refusal("margaret.h1", second_factor=True) or "")


def test_a_name_of_three_letters_may_stand_in_a_word() -> None:
    assert refusal("annual leave begins now", email="ann@example.com") is None


def test_a_password_of_before_is_long_or_not() -> None:
    assert is_long("x" * 15)
    assert is_long("x" * 1_000)
    assert not is_long("x" * 14)


def test_the_list_holds_thirty_thousand_in_lower_case() -> None:
    assert {"123456", "password", "iloveyou", "qwertyuiop", "letmein"} <= COMMON._known
    assert len(COMMON._known) == 30_000
    assert all(word == word.lower() for word in COMMON._known)
