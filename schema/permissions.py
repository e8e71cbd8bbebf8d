"""Who may ask which root field, as the fields themselves say it."""

from collections.abc import Callable, Iterator, Mapping

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema

from domain.identity import Permission, Role
from schema.fields import RULE, Rule
from schema.schema import schema

Allows = Callable[[Role, Permission], bool]
ROLES = (Role.READONLY, Role.USER, Role.ADMIN)
ABOUT = """\
# Who may do what

Made of the code by `dashtam schema permissions`; a test compares. A root field asks the policy for
what its row says, a mutation in the command that it runs. Roles are as the policy in the database
is at first, where ADMIN has what USER has, and USER what READONLY has. What is below a root field
is of the same person, so nothing below asks again; `node` and `nodes` give only what the viewer
could find otherwise too.
"""


def root_fields(schema: GraphQLSchema = schema) -> Mapping[str, Mapping[str, Rule | None]]:
    """By type and name; None for a field without a rule, which must not be."""
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    return {
        root.name: {name: _rule(field) for name, field in sorted(root.fields.items())}
        for root in roots
        if isinstance(root, GraphQLObjectType)
    }


def signed_out_fields() -> frozenset[str]:
    """What whoever is signed out may ask, of any root type."""
    rules = (each for of_root in root_fields().values() for each in of_root.items())
    return frozenset(name for name, rule in rules if rule is not None and rule.signed_out)


def printed(allows: Allows) -> str:
    """The matrix that `permissions.md` holds, in Markdown."""
    return ABOUT + "".join(_table(root, rules, allows) for root, rules in root_fields().items())


def may(rule: Rule, role: Role | None, allows: Allows) -> bool:
    """Whether it lets this role in; None is signed out."""
    if rule.signed_out:
        return True
    return role is not None and (rule.permits is None or allows(role, rule.permits))


def _rule(field: GraphQLField) -> Rule | None:
    declared = field.extensions.get("strawberry-definition")
    found = None if declared is None else declared.metadata.get(RULE)
    return found if isinstance(found, Rule) else None


def _table(root: str, rules: Mapping[str, Rule | None], allows: Allows) -> str:
    lines = [
        f"\n## {root}\n",
        "| field | asks for | signed out | READONLY | USER | ADMIN |",
        "|---|---|:---:|:---:|:---:|:---:|",
    ]
    lines += [_row(name, rule, allows) for name, rule in rules.items() if rule is not None]
    return "\n".join(lines) + "\n"


def _row(name: str, rule: Rule, allows: Allows) -> str:
    asks = "" if rule.permits is None else " ".join(reversed(rule.permits.value))
    command = "" if rule.command is None else f" (`{rule.command}`)"
    return "| " + " | ".join([f"`{name}`{command}", asks, *_marks(rule, allows)]) + " |"


def _marks(rule: Rule, allows: Allows) -> Iterator[str]:
    return ("yes" if may(rule, role, allows) else "no" for role in (None, *ROLES))
