"""A statement file is pulled like any provider, in pages, by both slugs that take files."""

import threading
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from adapters.providers import providers
from adapters.providers.file import ANY, CHASE, FileProvider
from adapters.providers.kit.faults import Fault
from adapters.providers.kit.names import NAMES
from domain.errors import Conflict, UnreadableFile
from domain.imports import FILE_BYTES_MAX, Statement
from domain.links import AuthMethod, Capability
from domain.sync import PullRequest
from gateway.settings import PROVIDERS
from gateway.wiring.outside import statement_of
from tests.csv import samples as csv
from tests.ofx.samples import CHASE_CARD
from tests.providers.conformance import ALL, AT, Case, Conformance, pulled
from tests.providers.fakes import outside

HEAD = (
    "<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0</STATUS><DTSERVER>20260110120000"
    "<FI><ORG>Mill Bank<FID>77</FI></SONRS></SIGNONMSGSRSV1>"
    "<BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>9<ACCTID>0012345678"
    "<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST>"
)
TAIL = (
    "</BANKTRANLIST><LEDGERBAL><BALAMT>812.50<DTASOF>20260110</LEDGERBAL>"
    "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
)


def a_file(rows: int) -> bytes:
    body = "".join(
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>202601{n % 9 + 1:02d}<TRNAMT>-{n}.25<FITID>f{n}"
        f"<NAME>Shop {n}</STMTTRN>"
        for n in range(rows)
    )
    return (HEAD + body + TAIL).encode()


def a_request(content: bytes | None) -> PullRequest:
    return PullRequest(credentials={}, scopes=ALL, at=AT, file=content)


class TestFileProvider(Conformance):
    FILES: ClassVar = {
        "many pages": (a_file(2_345), "many.qfx"),
        "chase": (CHASE_CARD.encode("cp1252"), "Chase4242.QFX"),
        "csv of a deposit": (csv.DEPOSIT.encode(), "Chase4321_Activity.CSV"),
        "csv of cards": (csv.CARDS.encode(), "Chase_Activity.CSV"),
        "csv of trades": (csv.BROKERAGE.encode(), "Individual_XXX178_Transactions.csv"),
        "csv of positions": (csv.POSITIONS.encode(), "Roth-Positions.csv"),
    }

    @pytest.fixture(params=FILES)
    def case(self, request: pytest.FixtureRequest) -> Case:
        content, name = self.FILES[request.param]
        return Case(
            name=request.param,
            make=lambda: FileProvider(CHASE, statement_of),
            request=replace(a_request(content), file_name=name),
            reads_a_file=True,
        )


@dataclass
class Reader:
    threads: list[str] = field(default_factory=list)

    def __call__(self, raw: bytes, name: str) -> Statement:
        self.threads.append(threading.current_thread().name)
        return statement_of(raw, name)


async def test_a_file_is_parsed_outside_the_event_loop() -> None:
    reader = Reader()
    await pulled(FileProvider(ANY, reader), a_request(a_file(3)))

    assert reader.threads
    assert threading.main_thread().name not in reader.threads


async def test_a_file_that_is_no_statement_is_unreadable() -> None:
    for file, reason in (
        (b"a letter to the bank", "not an OFX, QFX or QBO file"),
        (b"Date,Amount\n2026-01-01,5\n", "no layout that is known here .* Date, Amount; known"),
    ):
        with pytest.raises(UnreadableFile, match=reason):
            await pulled(FileProvider(ANY, statement_of), a_request(file))


async def test_a_pull_without_a_file_is_unreadable() -> None:
    with pytest.raises(UnreadableFile):
        await pulled(FileProvider(ANY, statement_of), a_request(None))


async def test_files_are_not_connected_to() -> None:
    with pytest.raises(Conflict):
        await FileProvider(ANY, statement_of).connect({}, AT)


@pytest.mark.parametrize(("slug", "info"), [("file", ANY), ("chase", CHASE)])
def test_both_slugs_take_four_kinds_of_files(slug: str, info: object) -> None:
    provider = providers(statement_of, outside())[slug]

    assert provider.info is info
    assert provider.info.takes_files
    assert not provider.info.can_be_pulled
    assert provider.info.auth_methods == (AuthMethod.FILE_IMPORT,)
    assert [f.extension for f in provider.info.import_formats] == ["ofx", "qfx", "qbo", "csv"]
    assert {f.provider_slug for f in provider.info.import_formats} == {slug}
    assert {f.max_bytes for f in provider.info.import_formats} == {FILE_BYTES_MAX}


def test_what_a_provider_did_is_told_by_its_display_name() -> None:
    pulled = [p.info for p in providers(statement_of, outside()).values() if p.info.can_be_pulled]
    assert {info.slug: info.name for info in pulled} == NAMES
    refusal = Fault.REJECTED.refusal("schwab")
    assert refusal.message == "Charles Schwab refused the credentials"


def test_the_list_of_providers_is_filtered_by_slug() -> None:
    assert sorted(providers(statement_of, outside())) == sorted(PROVIDERS)
    assert list(providers(statement_of, outside(), enabled=["chase", "unheard-of"])) == ["chase"]
    sandbox = providers(statement_of, outside())["sandbox"].info
    assert sandbox.can_be_pulled
    assert sandbox.auth_methods == (AuthMethod.NONE,)
    assert Capability.BALANCE_HISTORY in sandbox.capabilities
    assert [(f.name, f.secret, f.required) for f in sandbox.credential_fields] == [
        ("scenario", False, False),
        ("seed", False, False),
    ]


async def test_a_file_is_read_whole_whatever_days_are_asked_for() -> None:
    provider = FileProvider(ANY, statement_of)
    request = a_request(a_file(12))
    until = AT.date().replace(year=2025)

    assert await pulled(provider, replace(request, until=until)) == await pulled(provider, request)
