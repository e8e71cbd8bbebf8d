"""Which changes of a schema break what was valid; a table of one change each, in our own words."""

import pytest
from graphql import build_schema

from schema.comparing import Change, Severity, compare
from schema.schema import printed

OLD = """\
directive @hint(of: String, deep: Boolean! = true) repeatable on FIELD | QUERY
interface Node { id: ID! }
interface Named { name: String! }
union Found = Account | Link
enum Kind { CASH CARD LOAN }
scalar Date @specifiedBy(url: "https://one.example")
input Range { from: Date to: Date, step: Int! = 1 }
input Pick { id: ID, name: String }
type Money { amount: String! currency: String }
type Account implements Node & Named {
  id: ID!
  name: String!
  kind: Kind
  balance: Money!
  note: String
  tags: [String!]
  history(range: Range, first: Int! = 10, last: Int): [Money!]!
}
type Link implements Node { id: ID! }
type Query {
  accounts(kind: Kind, ids: [ID!]): [Account!]!
  find(pick: Pick!): Found
}
type Mutation { rename(id: ID!, name: String): Account }
type Subscription { moved: Account }
"""
B, D, S = "breaking", "dangerous", "safe"
# What is written instead of what; the worst that it is; the line of OLD; the words. graphql-inspector
# 7.0 judges all alike but five: a default that is lost and was needed, and `repeatable` lost, are
# dangerous to it, a description safe; an optional input field and a new type behind an interface too.
TABLE = [
    ("  note: String\n", "", B, 15, "Field Account.note was removed."),
    ("note: String", "note: String!", S, 15, "Field Account.note changed type from String to String!."),
    ("name: String!\n  kind", "name: String\n  kind", B, 12, "Field Account.name changed type from String! to String."),
    ("note: String", "note: Int", B, 15, "Field Account.note changed type from String to Int."),
    ("note: String", "note: [String]", B, 15, "Field Account.note changed type from String to [String]."),
    ("tags: [String!]", "tags: [String]", B, 16, "Field Account.tags changed type from [String!] to [String]."),
    ("tags: [String!]", "tags: [String!]!", S, 16, "Field Account.tags changed type from [String!] to [String!]!."),
    ("note: String", "note: String more: Int", S, 10, "Field Account.more was added."),
    ("note: String", 'note: String @deprecated(reason: "old")', S, 15, "Account.note is deprecated now."),
    ("note: String", '"What one wrote." note: String', "nothing", 0, ""),
    ("type Money { amount: String! currency: String }", "scalar Money", B, 9, "Money changed from an Object type to a Scalar type."),
    ("last: Int)", "last: Int!)", B, 17, "Argument Account.history(last:) has changed type from Int to Int!."),
    ("last: Int)", "last: String)", B, 17, "Argument Account.history(last:) has changed type from Int to String."),
    (", last: Int)", ")", B, 17, "Argument Account.history(last:) was removed."),
    ("last: Int)", "last: Int, at: Date)", D, 17, "An optional argument Account.history(at:) was added."),
    ("last: Int)", "last: Int, at: Date!)", B, 17, "A required argument Account.history(at:) was added."),
    ("last: Int)", 'last: Int, at: Date! = "1")', D, 17, "An optional argument Account.history(at:) was added."),
    ("first: Int! = 10", "first: Int! = 20", D, 17, "Account.history(first:) has changed defaultValue from 10 to 20."),
    ("first: Int! = 10", "first: Int!", B, 17, "Account.history(first:) has no default value any more, and is required."),
    ("first: Int! = 10", "first: Int = 10", "nothing", 0, ""),
    ("last: Int)", "last: Int = 5)", D, 17, "Account.history(last:) added a defaultValue 5."),
    ("last: Int)", "last: Int @deprecated)", S, 17, "Account.history(last:) is deprecated now."),
    ("ids: [ID!]", "ids: [ID]", S, 21, "Argument Query.accounts(ids:) has changed type from [ID!] to [ID]."),
    ("CARD LOAN", "CARD", B, 5, "Enum value Kind.LOAN was removed."),
    ("CARD LOAN", "CARD LOAN GOLD", D, 5, "Enum value Kind.GOLD was added."),
    ("CARD LOAN", "CARD LOAN @deprecated", S, 5, "Kind.LOAN is deprecated now."),
    ("Account | Link", "Account", B, 4, "Link was removed from union type Found."),
    ("Account | Link", "Account | Link | Money", D, 4, "Money was added to union type Found."),
    ("to: Date,", "to: Date!,", B, 7, "Field Range.to changed type from Date to Date!."),
    ("to: Date,", ",", B, 7, "Field Range.to was removed."),
    ("to: Date,", "to: Date, by: Int", D, 7, "An optional field Range.by was added."),
    ("to: Date,", "to: Date, by: Int!", B, 7, "A required field Range.by was added."),
    ("step: Int! = 1 ", "step: Int! ", B, 7, "Range.step has no default value any more, and is required."),
    ("step: Int! = 1 ", "step: Int! = 2 ", D, 7, "Range.step has changed defaultValue from 1 to 2."),
    ("input Pick {", "input Pick @oneOf {", B, 8, "Pick takes exactly one of its fields now (@oneOf)."),
    ("Node & Named", "Node", B, 10, "Account no longer implements interface Named."),
    ("type Link implements Node {", "type Link implements Node & Named { name: String! ", D, 19, "Named added to interfaces implemented by Link."),
    ("interface Named { name: String! }", "interface Named { name: String! at: Date }", S, 3, "Field Named.at was added."),
    ("union Found", "type Car implements Node { id: ID! } union Found", D, 2, "Node may be a Car too, which is new."),
    ("type Subscription { moved: Account }\n", "", B, 25, "Subscription was removed."),
    ("type Subscription { moved: Account }\n", "type Live { moved: Account } type Subscription { moved: Account } schema { query: Query mutation: Mutation subscription: Live }", B, 25, "The type of a subscription changed from Subscription to Live."),
    ("type Mutation {", "schema { query: Query subscription: Subscription } type Mutation {", B, 24, "Mutation is no longer the type of a mutation."),
    ("one.example", "two.example", D, 6, "Date is specified by something else."),
    ("union Found", "type Car { id: ID! } union Found", S, 0, "Car was added."),
    ("directive @hint(of: String, deep: Boolean! = true) repeatable on FIELD | QUERY\n", "", B, 1, "Directive @hint was removed."),
    ("on FIELD | QUERY", "on FIELD", B, 1, "QUERY was removed from @hint."),
    ("repeatable on", "on", B, 1, "Repeatable flag was removed from @hint."),
    ("of: String, ", "", B, 1, "Argument @hint(of:) was removed."),
]  # fmt: skip


def found(before: str, after: str) -> list[Change]:
    assert OLD.count(before) == 1
    return compare(build_schema(OLD), build_schema(OLD.replace(before, after)))


@pytest.mark.parametrize(("before", "after", "severity", "line", "says"), TABLE)
def test_one_change_is_named_for_what_it_does(
    before: str, after: str, severity: str, line: int, says: str
) -> None:
    changes = found(before, after)

    if severity == "nothing":
        assert changes == []
        return
    assert changes[0].severity is Severity[severity.upper()], changes
    assert (line, says) in [(c.line, c.says) for c in changes if c.severity is changes[0].severity]


def test_nothing_changed_between_a_schema_and_itself() -> None:
    assert compare(build_schema(printed()), build_schema(printed())) == []


def test_breaking_ones_come_first_and_then_as_they_stand() -> None:
    new = (
        OLD.replace("CARD LOAN", "LOAN GOLD")
        .replace("  note: String\n", "")
        .replace("to: Date,", "")
    )

    changes = compare(build_schema(OLD), build_schema(new))

    assert [(c.severity.name, c.line) for c in changes] == [
        ("BREAKING", 5),
        ("BREAKING", 7),
        ("BREAKING", 15),
        ("DANGEROUS", 5),
    ]
