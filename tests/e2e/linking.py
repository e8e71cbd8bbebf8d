"""Linking and importing as a client does it."""

import json
from typing import Any

import httpx2

from tests.e2e.stack import Client
from tests.ofx.samples import bank, ofx, transaction

CONNECT = """mutation Connect($input: ConnectProviderInput!) { connectProvider(input: $input) {
  link { id status provider { slug } accounts { name } lastRun { id status trigger } }
  errors { __typename code message field
    ... on Conflict { existingId } ... on RateLimited { retryAfterSeconds }
    ... on ProviderUnavailable { provider { slug } } } } }"""
SYNC = """mutation Sync($input: SyncInput!) { sync(input: $input) {
  runs { id status trigger progress startedAt finishedAt error { __typename code message }
    link { id status lastSyncedAt nextSyncAt consecutiveFailures lastRun { id } }
    accounts { created updated unchanged quarantined }
    holdings { created updated unchanged quarantined }
    transactions { created updated unchanged removed quarantined } }
  errors { __typename code message field ... on RateLimited { retryAfterSeconds } } } }"""
IMPORT = """mutation Import($input: ImportStatementInput!) { importStatement(input: $input) {
  run { id status trigger progress error { code message }
    accounts { created updated unchanged quarantined }
    holdings { created updated unchanged quarantined }
    transactions { created updated unchanged quarantined }
    quarantine { kind reason line raw } }
  accounts { id name mask type balance { amount currency } }
  preview { institution accounts { name mask type isNew from to balance { amount }
    transactions { created unchanged } } unreadable { kind reason line } }
  errors { __typename code message field ... on UnreadableFile { line } } } }"""
JSON = "application/json"


async def connect(client: Client, **input: Any) -> dict[str, Any]:
    using = {"nothing": True}
    return await client.do(CONNECT, input={"provider": "sandbox", "using": using, **input})


async def connect_scenario(client: Client, scenario: str, **more: Any) -> dict[str, Any]:
    credentials = [{"name": "scenario", "value": scenario}]
    return await connect(client, using={"credentials": credentials}, **more)


async def sync(client: Client, **input: Any) -> dict[str, Any]:
    return await client.do(SYNC, input={"waitSeconds": 25, **input})


async def linked(client: Client) -> str:
    """The id of a sandbox link whose first sync the worker has ended."""
    payload = await connect(client)
    assert payload["errors"] == []
    [run] = (await sync(client))["runs"]
    assert run["status"] == "SUCCEEDED", run
    link_id: str = payload["link"]["id"]
    return link_id


async def upload(
    client: Client, content: bytes, *, name: str = "statement.qfx", **input: Any
) -> httpx2.Response:
    said = {"provider": "file", "file": None, **input}
    form = {
        "operations": json.dumps({"query": IMPORT, "variables": {"input": said}}),
        "map": json.dumps({"0": ["variables.input.file"]}),
    }
    headers = {"authorization": f"Bearer {client.token}", "graphql-preflight": "1"}
    return await client.http.post(
        "/graphql", data=form, files={"0": (name, content)}, headers=headers
    )


async def import_file(client: Client, content: bytes, **input: Any) -> dict[str, Any]:
    """The payload of importStatement."""
    answer = await upload(client, content, **input)
    assert answer.status_code == 200, answer.text
    assert "errors" not in answer.json(), answer.text
    payload: dict[str, Any] = answer.json()["data"]["importStatement"]
    return payload


def checking(*amounts: str) -> bytes:
    """A month of one checking account, with a transaction for each amount."""
    return bank(
        "".join(
            transaction(
                TRNAMT=amount, FITID=f"f{number}", NAME=f"SHOP {number}", DTPOSTED="20260105"
            )
            for number, amount in enumerate(amounts)
        )
    )


def brokerages(count: int) -> bytes:
    """So many brokerage accounts, each with two holdings and a dividend."""
    securities = "".join(
        f"<STOCKINFO><SECINFO><SECID><UNIQUEID>{cusip}<UNIQUEIDTYPE>CUSIP</SECID>"
        f"<SECNAME>{ticker} Inc<TICKER>{ticker}</SECINFO></STOCKINFO>"
        for cusip, ticker in CUSIPS.items()
    )
    statements = "".join(_brokerage(f"B-{number:05}") for number in range(count))
    return ofx(
        f"<INVSTMTMSGSRSV1>{statements}</INVSTMTMSGSRSV1>"
        f"<SECLISTMSGSRSV1><SECLIST>{securities}</SECLIST></SECLISTMSGSRSV1>"
    )


CUSIPS = {"037833100": "AAPL", "594918104": "MSFT"}


def _brokerage(number: str) -> str:
    positions = "".join(
        f"<POSSTOCK><INVPOS><SECID><UNIQUEID>{cusip}<UNIQUEIDTYPE>CUSIP</SECID><HELDINACCT>CASH"
        "<POSTYPE>LONG<UNITS>10<UNITPRICE>12.5<MKTVAL>125.00<DTPRICEASOF>20260131"
        "</INVPOS></POSSTOCK>"
        for cusip in CUSIPS
    )
    income = (
        f"<INCOME><INVTRAN><FITID>{number}-1<DTTRADE>20260115</INVTRAN><SECID><UNIQUEID>037833100"
        "<UNIQUEIDTYPE>CUSIP</SECID><INCOMETYPE>DIV<TOTAL>5.53<SUBACCTSEC>CASH<SUBACCTFUND>CASH"
        "</INCOME>"
    )
    return (
        "<INVSTMTTRNRS><TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS><INVSTMTRS>"
        "<DTASOF>20260131160000[-5:EST]<CURDEF>USD<INVACCTFROM><BROKERID>broker.example"
        f"<ACCTID>{number}</INVACCTFROM><INVTRANLIST><DTSTART>20260101<DTEND>20260131{income}"
        f"</INVTRANLIST><INVPOSLIST>{positions}</INVPOSLIST>"
        "<INVBAL><AVAILCASH>100.00<MARGINBALANCE>0<SHORTBALANCE>0</INVBAL>"
        "</INVSTMTRS></INVSTMTTRNRS>"
    )
