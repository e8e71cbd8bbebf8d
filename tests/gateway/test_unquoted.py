"""What is wrong with a variable is said without what was given."""

from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse
from graphql.execution.values import get_variable_values

from gateway.operations.execution import unquoted
from schema.schema import schema

SECRET = "a password of found: nine value: words"
SIGN_IN = "mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }"
FIRST = "query($first: Int) { accounts { name } }"
TYPE = "query($type: AccountType, $day: Date) { accounts { name } }"


@pytest.mark.parametrize(
    ("document", "given", "says"),
    [
        (FIRST, {"first": SECRET}, "Int cannot represent non-integer value"),
        (SIGN_IN, {"input": SECRET}, "Expected value of type 'SignInInput' to be an object"),
        (SIGN_IN, {"input": {"email": "a", "password": [SECRET]}}, "non string value"),
        (SIGN_IN, {"input": {"email": "a", "pasword": SECRET}}, "required field 'password'"),
        (
            SIGN_IN,
            {"input": {"email": "a", "password": SECRET, "pasword": SECRET}},
            "unknown field 'pasword'. Did you mean 'password'?",
        ),
        (TYPE, {"type": SECRET}, "the value does not exist in 'AccountType' enum"),
        (TYPE, {"type": [SECRET]}, "cannot represent non-string value"),
        (TYPE, {"day": SECRET}, "such as"),
    ],
)
def test_a_variable_of_the_wrong_form_is_named_and_its_value_is_not(
    document: str, given: dict[str, Any], says: str
) -> None:
    [operation] = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)
    errors = get_variable_values(schema, operation.variable_definitions or (), given)
    assert isinstance(errors, list)
    messages = [unquoted(error).message for error in errors]
    assert any(says in message for message in messages), messages
    assert all(message.startswith("Variable '$") for message in messages)
    assert not any(word in " ".join(messages) for word in ("password of", "nine", "words"))
    assert [unquoted(error).locations for error in errors] == [e.locations for e in errors]
