"""What each argument of the schema is given, by its coordinate; one that is not here is an error.

A root field is asked by a rule that is made of its arguments, so a new one is asked as soon as it
is there, once it is said here what its ids are of, and what its texts are.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

from tests.isolation.gateway import Clock
from tests.isolation.people import Dice, Person

# What an id is of. "*" is any kind.
IDS: Mapping[str, str] = {
    "Query.node.id": "*",
    "Query.nodes.ids": "*",
    "Query.link.id": "Link",
    "Query.account.id": "Account",
    "Query.syncRun.id": "SyncRun",
    "Query.syncRuns.linkId": "Link",
    "Query.balanceHistory.accountIds": "Account",
    "AccountFilter.ids": "Account",
    "AccountFilter.linkId": "Link",
    "HoldingFilter.accountIds": "Account",
    "TransactionFilter.accountIds": "Account",
    "TransactionFilter.linkIds": "Link",
    "Admin.audit.userId": "User",
    "Mutation.cancelSync.runId": "SyncRun",
    "Mutation.undoImport.runId": "SyncRun",
    "Mutation.replayQuarantine.runId": "SyncRun",
    "Mutation.disconnect.linkId": "Link",
    "Mutation.refreshLinkCredentials.linkId": "Link",
    "Mutation.deleteManualAccount.accountId": "Account",
    "Mutation.revokeSession.id": "Session",
    "Subscription.syncProgress.runId": "SyncRun",
    "ConnectProviderInput.linkId": "Link",
    "UpdateLinkInput.linkId": "Link",
    "SyncInput.linkId": "Link",
    "SyncInput.accountId": "Account",
    "UpdateAccountInput.accountId": "Account",
    "RecordBalanceInput.accountId": "Account",
    "UpdateTransactionInput.transactionId": "Transaction",
    "SetRoleInput.userId": "User",
    "RotateUserTokensInput.userId": "User",
}
KINDS = (
    *("Viewer", "Link", "Account", "Security", "Holding", "Transaction", "SyncRun", "Session"),
    *("AuditEntry", "User", "QuarantinedRow"),
)


class Asked:
    """Who asks, among whom, when, and by which dice."""

    def __init__(self, me: Person, others: list[Person], dice: Dice, clock: Clock) -> None:
        self.me, self.others, self.dice, self.clock = me, others, dice, clock
        self.free_tokens: list[str] = []  # mailed to addresses that are nobody's of these
        self.hostile: tuple[str, str] | None = None  # at which coordinate, and what
        self.addressed: list[Person] = []
        self.consents = False  # to a provider that takes nothing else

    @property
    def other(self) -> Person:
        return self.dice.choice(self.others)


Word: TypeAlias = Callable[[Asked], str | None]


def own(about: str) -> Word:
    return lambda asked: asked.me.marks.text(about)


def sought(asked: Asked) -> str:
    """Of another's word less than all of it, so that an answer which has it all is a leak."""
    mine, other = asked.me.marks.word, asked.other.marks.word
    return asked.dice.pick(mine, mine[:8], other[:13], other[2:13], "%", "_", "' OR '1'='1", "Shop")


def email(asked: Asked) -> str:
    person = asked.dice.choice([asked.me, asked.me, *asked.others])
    if asked.dice.chance(0.2):
        return f"nobody{asked.dice.randrange(1_000)}@example.com"
    asked.addressed.append(person)
    return person.marks.email


def address_to_register(asked: Asked) -> str:
    if asked.dice.chance(0.3):
        return email(asked)
    return f"new{asked.dice.randrange(10**9)}@example.com"


def password(asked: Asked) -> str:
    right = asked.me.password
    return right if asked.dice.chance(0.8) else "a password of somebody else"


def to_be_deleted(asked: Asked) -> str:
    return asked.me.password if asked.dice.chance(0.15) else "not the password at all"


def new_password(asked: Asked) -> str:
    return f"a new password, number {asked.dice.randrange(10**6)}"


def code(asked: Asked) -> str | None:
    me, dice = asked.me, asked.dice
    if dice.chance(0.15):
        return "000000"
    if me.recovery and dice.chance(0.3):
        return me.recovery.pop()
    asked.clock.turn(31)  # the one before may have been used
    return me.code(asked.clock().timestamp()) or "123456"


def verify_token(asked: Asked) -> str:
    return asked.free_tokens.pop() if asked.free_tokens and asked.dice.chance(0.8) else "x" * 43


def reset_token(asked: Asked) -> str:
    known = asked.me.reset_tokens
    return known.pop() if known and asked.dice.chance(0.8) else "y" * 43


def refresh_token(asked: Asked) -> str:
    return (asked.dice.chance(0.7) and asked.me.refresh_token) or "z" * 43


def state(asked: Asked) -> str:
    known = asked.dice.pick(asked.me, asked.me, asked.other).states
    return known[-1] if known else "s" * 43


def provider(asked: Asked) -> str:
    rarely = asked.dice.pick("file", "manual", "nothing")
    said = asked.dice.pick(*["sandbox"] * 4, "consenting", "consenting", rarely)
    asked.consents = said == "consenting"
    return said


def file_provider(asked: Asked) -> str:
    return "file" if asked.dice.chance(0.9) else "sandbox"


def category(asked: Asked) -> str:
    return asked.dice.pick(asked.me, asked.other).marks.text("Food")[:13]


def symbol(asked: Asked) -> str:
    mine = f"S1{asked.me.marks.word.upper()}"
    return asked.dice.pick(mine, mine, "AAPL", f"S1{asked.other.marks.word[:13]}", "%")


# What a text is. A name that ends in `after` takes cursors, which the machine has.
TEXTS: Mapping[str, Word] = {
    "Admin.users.search": sought,
    "Admin.audit.action": lambda asked: asked.dice.pick("session.start", "link.connect", "x"),
    "AccountFilter.provider": provider,
    "HoldingFilter.symbol": symbol,
    "TransactionFilter.categories": category,
    "TransactionFilter.symbol": symbol,
    "TransactionFilter.search": sought,
    "RegisterInput.email": address_to_register,
    "RegisterInput.password": new_password,
    "SignInInput.email": email,
    "SignInInput.password": password,
    "SignInInput.code": code,
    "ResetPasswordInput.token": reset_token,
    "ResetPasswordInput.newPassword": new_password,
    "ChangePasswordInput.currentPassword": password,
    "ChangePasswordInput.newPassword": new_password,
    "UpdateSettingsInput.timeZone": lambda asked: asked.dice.pick(
        "UTC", "Europe/Berlin", "Nowhere"
    ),
    "ConnectProviderInput.provider": provider,
    "ConnectProviderInput.alias": own("Alias"),
    "OAuthInput.returnTo": lambda asked: asked.dice.maybe(0.2, "https://example.com"),
    "CompleteAuthorizationInput.state": state,
    "CompleteAuthorizationInput.code": lambda asked: f"code {asked.dice.randrange(10**9)}",
    "CompleteAuthorizationInput.iss": lambda _: None,
    "CompleteAuthorizationInput.error": lambda asked: asked.dice.maybe(0.1, "access_denied"),
    "UpdateLinkInput.alias": own("Alias"),
    "ImportStatementInput.provider": file_provider,
    "ImportStatementInput.alias": own("Files"),
    "UpdateTransactionInput.category": own("Category"),
    "UpdateTransactionInput.notes": own("Notes"),
    "UpdateAccountInput.nickname": own("Nickname"),
    "CreateManualAccountInput.name": own("Manual"),
    "RotateAllTokensInput.reason": lambda _: "a drill",
    "RotateUserTokensInput.reason": lambda _: "a drill",
    "Mutation.verifyEmail.token": verify_token,
    "Mutation.refreshSession.refreshToken": refresh_token,
    "Mutation.requestPasswordReset.email": email,
    "Mutation.deleteViewer.password": to_be_deleted,
    "Mutation.confirmTotp.code": code,
    "Mutation.disableTotp.password": password,
    "Mutation.disableTotp.code": code,
}
# What may be left out, and is not.
GIVEN = frozenset({"CompleteAuthorizationInput.code"})
# Whole numbers, where not any will do.
NUMBERS: Mapping[str, tuple[int, ...]] = {
    "UpdateSettingsInput.sessionLimit": (3, 5, 200),
    "UpdateLinkInput.syncEverySeconds": (3_600, 7_200, 1),
    "SyncInput.waitSeconds": (0,),
    "RotateAllTokensInput.graceSeconds": (0, 300),
}
FIRSTS = (1, 2, 3, 50, 500, 0)
DAYS_BACK = (0, 1, 7, 100, 400)


def day(asked: Asked) -> str:
    return str((asked.clock() - timedelta(days=asked.dice.choice(DAYS_BACK))).date())


def instant(asked: Asked) -> str:
    return (asked.clock() - timedelta(days=asked.dice.choice(DAYS_BACK))).isoformat()


def amount(asked: Asked) -> str:
    return asked.me.marks.amount(asked.dice.randrange(1, 90))


def amount_sought(asked: Asked) -> str:
    return asked.dice.pick(asked.me, asked.other).marks.amount(asked.dice.randrange(1, 90))[:6]
