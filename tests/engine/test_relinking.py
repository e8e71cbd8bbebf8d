"""An institution that is linked again calls everything by other ids: what is ours stays ours."""

from collections.abc import Sequence
from dataclasses import replace

from domain.accounts import AccountType
from domain.commands.links import ConnectProvider, Disconnect, connect_provider, disconnect
from domain.commands.transactions import UpdateTransaction, update_transaction
from domain.links import Link, LinkId
from domain.secret import Secrets
from domain.sync import ReceivedAccount, ReceivedTransaction, SyncRun
from domain.transactions import TransactionId, TransactionStatus
from tests.builders import money
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine

ROWS = (
    spent("t1"),
    spent("t2"),  # the same again
    spent("t3", "-7.00", description="RENT"),
    spent("t4", "-1.00", status=TransactionStatus.PENDING),
)


def told(
    scripted: Scripted,
    *received: ReceivedAccount,
    suffix: str = "",
    rows: Sequence[ReceivedTransaction] = ROWS,
) -> None:
    """All of it by ids that end with `suffix`."""
    first = f"{received[0].key}{suffix}"
    scripted.script = [
        accounts(*(replace(a, key=f"{a.key}{suffix}") for a in received)),
        transactions(*(replace(r, key=f"{r.key}{suffix}", account_key=first) for r in rows)),
    ]


async def mended(engine: Engine, link: Link, login: str) -> SyncRun:
    cmd = ConnectProvider(
        actor=engine.actor,
        provider_slug="scripted",
        link_id=link.id,
        alias=None,
        credentials=Secrets({"login": login}),
        nothing=None,
        at=engine.clock(),
    )
    await connect_provider(engine.app, cmd)
    [waiting] = await engine.request(link_id=link.id)
    return await engine.run(waiting.id)


async def left(engine: Engine, link_id: LinkId) -> None:
    cmd = Disconnect(actor=engine.actor, link_id=link_id, delete_data=False, at=engine.clock())
    await disconnect(engine.app, cmd)


async def noted(engine: Engine) -> None:
    rent = await engine.one("transactions", "description = $1", "RENT")
    cmd = UpdateTransaction(
        actor=engine.actor,
        transaction_id=TransactionId(rent["id"]),
        category="Home",
        notes="mine",
        at=engine.clock(),
    )
    await update_transaction(engine.app, cmd)


async def known(engine: Engine) -> dict[str, set[object]]:
    return {t: {r["id"] for r in await engine.rows(t)} for t in ("accounts", "transactions")}


async def test_a_mended_link_keeps_everything_though_each_id_has_changed(
    engine: Engine, scripted: Scripted
) -> None:
    told(scripted, checking())
    link, _ = await engine.linked(provider="scripted", login="ann")
    await noted(engine)
    before = await known(engine)
    told(scripted, checking(), suffix="-new")

    run = await mended(engine, link, "ann again")

    assert await known(engine) == before
    assert (run.accounts.created, run.transactions.created) == (0, 0)
    rent = await engine.one("transactions", "description = $1", "RENT")
    assert (rent["own_category"], rent["notes"]) == ("Home", "mine")
    assert {r["key"] for r in await engine.rows("link_accounts")} == {f"{checking().key}-new"}
    quiet = await engine.written(*DATA)
    await engine.sync(link)
    assert await engine.written(*DATA) == quiet


async def test_without_a_number_the_end_of_it_tells_which_account_it_is(
    engine: Engine, scripted: Scripted
) -> None:
    both = (
        checking(number=None, mask="6789"),
        checking(key="a2", number=None, mask="1111", type=AccountType.SAVINGS),
    )
    told(scripted, *both)
    first, _ = await engine.linked(provider="scripted", login="ann")
    await noted(engine)
    before = await known(engine)
    await left(engine, first.id)
    told(scripted, *(replace(a, name=f"{a.name} renamed") for a in both), suffix="-new")

    second, run = await engine.linked(provider="scripted", login="ann again")

    assert await known(engine) == before
    assert (run.accounts.created, run.transactions.created) == (0, 0)
    assert {r["link_id"] for r in await engine.rows("accounts")} == {second.id}


async def test_without_any_of_it_the_name_does(engine: Engine, scripted: Scripted) -> None:
    told(scripted, checking(number=None, mask=None))
    first, _ = await engine.linked(provider="scripted", login="ann")
    before = await known(engine)
    await left(engine, first.id)
    told(scripted, checking(number=None, mask=None), suffix="-new")
    await engine.linked(provider="scripted", login="ann again")
    assert await known(engine) == before


async def test_of_two_that_are_alike_none_is_guessed(engine: Engine, scripted: Scripted) -> None:
    alike = (checking(number=None, mask=None), checking(key="a2", number=None, mask=None))
    told(scripted, *alike, rows=())
    first, _ = await engine.linked(provider="scripted", login="ann")
    await left(engine, first.id)
    told(scripted, *alike, suffix="-new", rows=())
    _, run = await engine.linked(provider="scripted", login="ann again")
    assert run.accounts.created == 2


async def test_what_another_live_link_feeds_is_not_taken_from_it(
    engine: Engine, scripted: Scripted
) -> None:
    told(scripted, checking(number=None, mask="6789"), rows=())
    first, _ = await engine.linked(provider="scripted", login="ann")
    told(scripted, checking(number=None, mask="6789", name="Bob's"), suffix="-other", rows=())
    await engine.linked(provider="scripted", login="bob")
    assert await engine.count("accounts") == 2
    assert await engine.count("accounts", "link_id = $1", first.id) == 1


async def test_an_institution_linked_beside_itself_with_fewer_accounts_counts_none_twice(
    engine: Engine, scripted: Scripted
) -> None:
    both = (
        checking(number=None, mask="6789"),
        checking(key="a2", number=None, mask="1111", type=AccountType.SAVINGS),
    )
    told(scripted, *both)
    first, _ = await engine.linked(provider="scripted", login="ann")
    before = await known(engine)
    told(scripted, both[0], suffix="-new")

    second, run = await engine.linked(provider="scripted", login="ann with one")

    assert (run.accounts.created, run.transactions.created) == (0, 0)
    assert await known(engine) == before
    quiet = await engine.written(*DATA)
    await engine.sync(second)
    assert await engine.written(*DATA) == quiet
    assert await engine.count("accounts", "is_active") == 2
    assert first.id != second.id


async def test_a_list_that_could_not_be_read_whole_says_of_none_that_it_is_gone(
    engine: Engine, scripted: Scripted
) -> None:
    told(scripted, checking(number=None, mask="6789"), rows=())
    link, _ = await engine.linked(provider="scripted", login="ann")
    another = checking(key="new", number=None, mask="6789", balance=money("3.00"))
    scripted.script = [accounts(another, complete=False)]
    run = await engine.sync(link)
    assert run.accounts.created == 1
    assert await engine.count("accounts", "is_active") == 2


async def test_two_numbers_are_two_accounts_though_they_end_alike(
    engine: Engine, scripted: Scripted
) -> None:
    told(scripted, checking(number="111-6789"), rows=())
    first, _ = await engine.linked(provider="scripted", login="ann")
    await left(engine, first.id)
    told(scripted, checking(number="222-6789"), suffix="-new", rows=())
    _, run = await engine.linked(provider="scripted", login="bob")
    assert run.accounts.created == 1


async def test_two_numbers_of_two_live_links_are_two_accounts(
    engine: Engine, scripted: Scripted
) -> None:
    told(scripted, checking(number="111-6789"), rows=())
    await engine.linked(provider="scripted", login="ann")
    told(scripted, checking(number="222-6789"), suffix="-new", rows=())
    _, run = await engine.linked(provider="scripted", login="bob")
    assert run.accounts.created == 1
