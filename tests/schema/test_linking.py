"""Connecting, changing and ending links."""

from typing import Any

import pytest

from domain.errors import CredentialsRejected, ErrorCode, LinkAction, ProviderUnavailable
from domain.links import LinkStatus, SyncError
from tests.schema.builders import NOW, a_link
from tests.schema.world import World, gid

CONNECT = """mutation ($input: ConnectProviderInput!) { connectProvider(input: $input) {
  link { id alias status lastRun { trigger status } } authorizationUrl state linkToken expiresAt
  errors { __typename code field ... on Conflict { existingId } } } }"""


async def connect(world: World, **said: Any) -> Any:
    input = {"provider": "sandbox", "using": {"nothing": True}} | said
    return (await world.get(CONNECT, {"input": input}))["connectProvider"]


async def test_connecting_queues_a_run_that_the_payload_shows(world: World) -> None:
    payload = await connect(world, alias="My bank")

    assert payload["errors"] == []
    assert payload["link"]["alias"] == "My bank"
    assert payload["link"]["status"] == "ACTIVE"
    assert payload["link"]["lastRun"] == {"trigger": "CONNECT", "status": "QUEUED"}
    assert payload["authorizationUrl"] is payload["expiresAt"] is None
    assert len(world.store.jobs) == 1


async def test_the_same_login_again_is_a_conflict_that_names_the_link(world: World) -> None:
    first = await connect(world)
    again = await connect(world)
    other = await connect(world, using={"credentials": [{"name": "scenario", "value": "large"}]})

    assert again["link"] is None
    assert again["errors"] == [
        {
            "__typename": "Conflict",
            "code": "CONFLICT",
            "field": ["input", "using"],
            "existingId": first["link"]["id"],
        }
    ]
    assert other["errors"] == []


async def test_a_link_is_mended_by_its_id(world: World) -> None:
    link = a_link(world.ann, status=LinkStatus.FAILED)
    world.hers.links.append(link)

    mended = await connect(world, linkId=gid("Link", link.id))
    absent = await connect(
        world,
        linkId="nonsense",
        using={"credentials": [{"name": "scenario", "value": "large"}]},
    )

    assert (mended["link"]["id"], mended["link"]["status"]) == (gid("Link", link.id), "ACTIVE")
    assert absent["errors"][0]["field"] == ["input", "linkId"]


@pytest.mark.parametrize(
    ("said", "kind", "field"),
    [
        ({"provider": "nobody"}, "NotFound", ["input", "provider"]),
        ({"using": {"nothing": False}}, "InvalidInput", ["input", "using", "nothing"]),
        ({"using": {"oauth": {}}}, "InvalidInput", ["input", "using", "oauth"]),
        (
            {"using": {"credentials": [{"name": "scenario", "value": "odd"}]}},
            "InvalidInput",
            ["input", "using", "credentials"],
        ),
        (
            {"using": {"credentials": [{"name": "scenario", "value": "large"}] * 2}},
            "InvalidInput",
            ["input", "using", "credentials"],
        ),
    ],
    ids=["provider", "nothing", "oauth", "scenario", "twice"],
)
async def test_what_cannot_connect_is_refused(
    world: World, said: dict[str, Any], kind: str, field: list[str]
) -> None:
    payload = await connect(world, **said)

    assert payload["link"] is None
    assert payload["errors"][0]["__typename"] == kind
    assert payload["errors"][0]["field"] == field


@pytest.mark.parametrize("using", [{}, {"nothing": True, "oauth": {}}, {"nothing": None}])
async def test_exactly_one_way_to_connect_is_given(world: World, using: dict[str, Any]) -> None:
    answer = await world.ask(CONNECT, {"input": {"provider": "sandbox", "using": using}})

    assert answer.data is None
    assert answer.codes == ["BAD_USER_INPUT"]
    assert world.store.audited == []


async def test_updating_a_link_changes_only_what_is_said(world: World) -> None:
    link = a_link(world.ann, alias="Old", sync_every_s=7200)
    world.hers.links.append(link)
    document = """mutation ($input: UpdateLinkInput!) { updateLink(input: $input) {
      link { alias syncEverySeconds } errors { code field } } }"""

    async def update(**said: Any) -> Any:
        input = {"linkId": gid("Link", link.id)} | said
        return (await world.get(document, {"input": input}))["updateLink"]

    renamed = await update(alias="New")
    cleared = await update(syncEverySeconds=None)
    refused = await update(syncEverySeconds=1)

    assert renamed["link"] == {"alias": "New", "syncEverySeconds": 7200}
    assert cleared["link"] == {"alias": "New", "syncEverySeconds": None}
    assert refused["link"] is None
    assert refused["errors"] == [{"code": "INVALID_INPUT", "field": ["input", "syncEverySeconds"]}]


async def test_a_disconnected_link_stays_and_says_so(world: World) -> None:
    link = a_link(world.ann)
    world.hers.links.append(link)
    data = await world.get(
        "mutation ($id: ID!) { disconnect(linkId: $id) { link { id status } errors { code } } }",
        {"id": gid("Link", link.id)},
    )

    assert data["disconnect"]["link"] == {"id": gid("Link", link.id), "status": "DISCONNECTED"}


async def test_each_mutation_field_is_read_in_a_snapshot_of_its_own(world: World) -> None:
    link = a_link(world.ann)
    world.hers.links.append(link)
    data = await world.get(
        """mutation ($id: ID!) {
          a: updateLink(input: {linkId: $id, alias: "one"}) { link { alias } }
          b: updateLink(input: {linkId: $id, alias: "two"}) { link { alias } } }""",
        {"id": gid("Link", link.id)},
    )

    assert (data["a"]["link"], data["b"]["link"]) == ({"alias": "one"}, {"alias": "two"})
    assert len(world.opened) == 2
    assert world.left_open == 0


async def test_a_link_says_what_is_wrong_with_it_and_what_its_owner_can_do(world: World) -> None:
    refused = CredentialsRejected("no", provider="sandbox", code=ErrorCode.AUTHORIZATION_EXPIRED)
    unpaid = ProviderUnavailable(
        "pay", provider="sandbox", retry_after_s=60, action=LinkAction.PAY_PROVIDER
    )
    links = [
        a_link(world.ann).lapsed(SyncError.of(refused)),
        a_link(world.ann).failed(at=NOW, error=SyncError.of(unpaid)),
        a_link(world.ann),
    ]
    world.hers.links += links

    found = await world.get(
        """{ links { id actionRequired error { __typename code message field
          ... on CredentialsRejected { provider { slug } }
          ... on ProviderUnavailable { provider { slug } retryAfterSeconds } } } }"""
    )

    by_id = {link["id"]: link for link in found["links"]}
    lapsed, failed, fine = (by_id[gid("Link", link.id)] for link in links)
    common = {"field": None, "provider": {"slug": "sandbox"}}
    assert lapsed["actionRequired"] == "REAUTHORIZE"
    assert lapsed["error"] == common | {
        "__typename": "CredentialsRejected",
        "code": "AUTHORIZATION_EXPIRED",
        "message": "no",
    }
    assert failed["actionRequired"] == "PAY_PROVIDER"
    assert failed["error"] == common | {
        "__typename": "ProviderUnavailable",
        "code": "PROVIDER_UNAVAILABLE",
        "message": "pay",
        "retryAfterSeconds": 60,
    }
    assert (fine["actionRequired"], fine["error"]) == (None, None)


async def test_what_has_nothing_to_renew_says_so_and_an_unknown_link_is_not_found(
    world: World,
) -> None:
    link = a_link(world.ann)
    world.hers.links.append(link)
    document = """mutation ($id: ID!) { refreshLinkCredentials(linkId: $id) {
      link { id } errors { __typename code field } } }"""

    async def refresh(id: str) -> Any:
        return (await world.get(document, {"id": id}))["refreshLinkCredentials"]

    assert await refresh(gid("Link", link.id)) == {
        "link": None,
        "errors": [{"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": ["linkId"]}],
    }
    assert (await refresh("nonsense"))["errors"][0]["__typename"] == "NotFound"
