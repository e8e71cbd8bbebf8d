"""Files by the GraphQL multipart request specification, and everything that is not one."""

import asyncio
import json
import time
from typing import Any

import httpx2
import pytest

from tests.gateway.http.served import Journal, a_view, served
from tests.gateway.http.test_requests import refused

BOUNDARY = "-----boundary-9051914041544843365972754266"
MULTIPART = {
    "content-type": f"multipart/form-data; boundary={BOUNDARY}",
    "graphql-preflight": "1",
}
ONE = {"query": "mutation($file:Upload!){keep(file:$file)}", "variables": {"file": None}}
MANY = {
    "query": "mutation($files:[Upload!]!){keepAll(files:$files)}",
    "variables": {"files": [None, None]},
}


def part(
    name: str, content: str | bytes, *, filename: str | None = None, kind: str | None = None
) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    if kind is not None:
        head += f"\r\nContent-Type: {kind}"
    data = content.encode() if isinstance(content, str) else content
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def operations(request: Any) -> bytes:
    return part("operations", json.dumps(request))


def mapped(**targets: Any) -> bytes:
    return part("map", json.dumps(targets))


def a_file(name: str = "f", content: bytes = b"abc") -> bytes:
    return part(name, content, filename="a.ofx", kind="application/x-ofx")


WHOLE = form(operations(ONE), mapped(f=["variables.file"]), a_file())


async def test_a_file_reaches_the_resolver_with_its_name_and_type(
    http: httpx2.AsyncClient,
) -> None:
    response = await http.post("/graphql", content=WHOLE, headers=MULTIPART)
    assert response.json() == {"data": {"keep": "a.ofx application/x-ofx 3"}}


async def test_a_clients_own_form_is_read(http: httpx2.AsyncClient) -> None:
    """As httpx writes it; a name of more than ASCII, no content type, content of every byte."""
    response = await http.post(
        "/graphql",
        data={"operations": json.dumps(ONE), "map": json.dumps({"0": ["variables.file"]})},
        files={"0": ("Auszüge 😀.bin", bytes(range(256)) * 999, "application/octet-stream")},
        headers={"x-requested-with": "tests"},
    )
    assert response.json() == {"data": {"keep": "Auszüge 😀.bin application/octet-stream 255744"}}


async def test_several_files_and_one_file_at_several_places(http: httpx2.AsyncClient) -> None:
    two = form(
        operations(MANY),
        mapped(a=["variables.files.0"], b=["variables.files.1"]),
        part("a", "1", filename="a", kind="text/csv"),
        part("b", "22", filename="b"),
    )
    response = await http.post("/graphql", content=two, headers=MULTIPART)
    kept = ["a text/csv 1", "b application/octet-stream 2"]
    assert response.json() == {"data": {"keepAll": kept}}
    shared = form(operations(MANY), mapped(f=["variables.files.0", "variables.files.1"]), a_file())
    response = await http.post("/graphql", content=shared, headers=MULTIPART)
    assert response.json() == {"data": {"keepAll": ["a.ofx application/x-ofx 3"] * 2}}


async def test_a_form_that_arrives_byte_by_byte_is_the_same_form(
    http: httpx2.AsyncClient,
) -> None:
    async def drops() -> Any:
        for at in range(0, len(WHOLE), 3):
            yield WHOLE[at : at + 3]

    response = await http.post("/graphql", content=drops(), headers=MULTIPART)
    assert response.json() == {"data": {"keep": "a.ofx application/x-ofx 3"}}


FILE_AT = mapped(f=["variables.file"])
SIX = [None] * 6
MALFORMED = {
    "empty": b"",
    "no parts": form(),
    "garbage": b"nothing of a form",
    "cut short": WHOLE[:-30],
    "cut in a header": WHOLE[:60],
    "no map": form(operations(ONE)),
    "no operations": form(mapped(f=["variables.file"]), a_file()),
    "map first": form(FILE_AT, operations(ONE), a_file()),
    "file before map": form(operations(ONE), a_file(), FILE_AT),
    "operations twice": form(operations(ONE), operations(ONE), FILE_AT, a_file()),
    "map twice": form(operations(ONE), FILE_AT, FILE_AT, a_file()),
    "a missing file": form(operations(ONE), FILE_AT),
    "a file twice": form(operations(ONE), FILE_AT, a_file(), a_file()),
    "a file that is not mapped": form(operations(ONE), FILE_AT, a_file(), a_file("other")),
    "a file without a filename": form(operations(ONE), FILE_AT, part("f", "x")),
    "too many files": form(
        operations({**MANY, "variables": {"files": SIX}}),
        mapped(**{f"f{n}": [f"variables.files.{n}"] for n in range(6)}),
        *(a_file(f"f{n}") for n in range(6)),
    ),
    "too many places": form(
        operations({**MANY, "variables": {"files": [None] * 21}}),
        mapped(f=[f"variables.files.{n}" for n in range(21)]),
        a_file(),
    ),
    "a list of operations": form(operations([ONE]), mapped(f=["0.variables.file"]), a_file()),
    "operations that are no JSON": form(part("operations", "{"), FILE_AT, a_file()),
    "map that is no JSON": form(operations(ONE), part("map", "{"), a_file()),
    "map that is a list": form(operations(ONE), part("map", "[]"), a_file()),
    "map of a text": form(operations(ONE), mapped(f="variables.file"), a_file()),
    "map of numbers": form(operations(ONE), mapped(f=[1]), a_file()),
    "map of no place": form(operations(ONE), mapped(f=[]), a_file()),
    "the same place twice": form(
        operations(ONE), mapped(f=["variables.file", "variables.file"]), a_file()
    ),
    "a part without a name": form(
        operations(ONE), FILE_AT, a_file().replace(b'name="f"; ', b"")
    ),
    "a part that is no form data": form(
        operations(ONE), FILE_AT, a_file().replace(b"form-data", b"attachment")
    ),
    "a filename that is no UTF-8": form(
        operations(ONE), FILE_AT, a_file().replace(b"a.ofx", b"\xff\xfe")
    ),
    "a large header": form(operations(ONE), FILE_AT, a_file().replace(b"a.ofx", b"x" * 9_000)),
    "many headers": form(
        operations(ONE), FILE_AT, a_file().replace(b"\r\n\r\n", b"\r\nx: y" * 50 + b"\r\n\r\n")
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
async def test_a_form_that_is_no_such_request_is_400(
    http: httpx2.AsyncClient, content: bytes
) -> None:
    response = await http.post("/graphql", content=content, headers=MULTIPART)
    refused(response, 400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "path",
    [
        "variables", "variables.", "variables.other", "variables.file.deeper", "query", "",
        "operationName", "extensions.file", "variables.n", "variables.list", "variables.list.1",
        "variables.list.-1", "variables.list.99999999999999999999", "variables.list.x",
        "variables.list.\uff10", "variables..file", "__class__.file", ".".join(["variables"] * 99),
    ],
)  # fmt: skip
async def test_a_path_that_leads_to_no_null_of_the_variables_is_400(
    http: httpx2.AsyncClient, path: str
) -> None:
    request = {**ONE, "variables": {"file": None, "n": 1, "list": [None]}, "extensions": {}}
    content = form(operations(request), mapped(f=[path]), a_file())
    response = await http.post("/graphql", content=content, headers=MULTIPART)
    refused(response, 400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 300,
        "multipart/form-data; boundary=other",
    ],
)
async def test_a_form_without_its_boundary_is_400(
    http: httpx2.AsyncClient, content_type: str
) -> None:
    headers = {**MULTIPART, "content-type": content_type}
    refused(await http.post("/graphql", content=WHOLE, headers=headers), 400, "BAD_REQUEST")


async def test_nul_in_the_operations_or_a_filename_is_bad_input(
    http: httpx2.AsyncClient,
) -> None:
    request = {**ONE, "variables": {"file": None, "x": "\0"}}
    for content in (
        form(operations(request), FILE_AT, a_file()),
        form(operations(ONE), FILE_AT, a_file().replace(b"a.ofx", b"a\0b")),
    ):
        response = await http.post("/graphql", content=content, headers=MULTIPART)
        assert response.status_code == 400
        assert response.json()["errors"][0]["extensions"]["code"] in (
            "BAD_USER_INPUT",
            "BAD_REQUEST",  # the form's own syntax has no NUL in a header
        )


async def test_ten_megabytes_are_taken_and_more_is_413_while_it_streams(
    http: httpx2.AsyncClient,
) -> None:
    def with_file(size: int) -> bytes:
        return form(operations(ONE), FILE_AT, a_file(content=b"\r\n-" * (size // 3)))

    response = await http.post("/graphql", content=with_file(10 << 20), headers=MULTIPART)
    assert response.json() == {"data": {"keep": "a.ofx application/x-ofx 10485759"}}
    beyond = with_file((10 << 20) + (128 << 10))

    async def unannounced() -> Any:
        for at in range(0, len(beyond), 1 << 16):
            yield beyond[at : at + (1 << 16)]

    for content in (beyond, unannounced()):
        refused(await http.post("/graphql", content=content, headers=MULTIPART), 413, "BAD_REQUEST")
    assert (await http.post("/graphql", json={"query": "{hello}"})).status_code == 200


async def test_operations_and_map_have_limits_of_their_own(http: httpx2.AsyncClient) -> None:
    large = {**ONE, "variables": {"file": None, "x": "y" * (1 << 20)}}
    for content in (
        form(operations(large), FILE_AT, a_file()),
        form(operations(ONE), mapped(f=["variables." + "x" * 20_000]), a_file()),
    ):
        response = await http.post("/graphql", content=content, headers=MULTIPART)
        refused(response, 413, "BAD_REQUEST")


async def test_a_form_made_to_be_slow_is_read_in_moments(http: httpx2.AsyncClient) -> None:
    started = time.process_time()
    for content in (
        form(operations(ONE), FILE_AT, a_file(content=b"\r" * (1 << 20))),
        form(operations(ONE), FILE_AT, a_file(content=f"\r\n--{BOUNDARY[:-1]}".encode() * 20_000)),
        b"\r\n" * (1 << 19) + WHOLE,
    ):
        response = await http.post("/graphql", content=content, headers=MULTIPART)
        assert response.status_code in (200, 400)
    assert time.process_time() - started < 5


async def test_a_form_goes_by_post_only(http: httpx2.AsyncClient) -> None:
    response = await http.request("QUERY", "/graphql", content=WHOLE, headers=MULTIPART)
    refused(response, 415, "BAD_REQUEST")


async def test_more_uploads_at_once_than_there_are_places_for_come_back_later() -> None:
    async with (
        served(a_view(Journal(), uploads_max=1)) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> Any:
            yield WHOLE[:100]
            arrived.set()
            await go_on.wait()
            yield WHOLE[100:]

        first = asyncio.create_task(client.post("/graphql", content=slowly(), headers=MULTIPART))
        await arrived.wait()
        async with asyncio.timeout(5):
            second = await client.post("/graphql", content=WHOLE, headers=MULTIPART)
            while second.status_code == 200:  # the first one's head is still on its way
                second = await client.post("/graphql", content=WHOLE, headers=MULTIPART)
        refused(second, 503, "UNAVAILABLE")
        assert second.headers["retry-after"] == "1"
        go_on.set()
        assert (await first).json() == {"data": {"keep": "a.ofx application/x-ofx 3"}}
        third = await client.post("/graphql", content=WHOLE, headers=MULTIPART)
        assert third.status_code == 200
