"""What clients' tools write is read, and everything that is wrong with it is said with its place."""

import json
import re
from hashlib import md5
from pathlib import Path
from typing import Any, cast

import pytest
from graphql import (
    IntrospectionQuery,
    OperationDefinitionNode,
    build_client_schema,
    build_schema,
    graphql_sync,
    lexicographic_sort_schema,
    parse,
    print_ast,
    print_schema,
)

from adapters.postgres.documents import ToPublish
from gateway.documents import builtin
from gateway.documents.checking import checked
from gateway.documents.manifests import FILE_MAX, Unreadable, read
from gateway.documents.names import digest
from gateway.documents.store import Documents
from gateway.operations.guard import Limits
from gateway.routes.assets import PAGES
from schema.identity import STANDS_ALONE
from schema.schema import printed, schema

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "conformance" / "golden"
ME = "query Me {\n  viewer {\n    email\n  }\n}\n"
LINKS = "query Links {\n  links { id }\n}"


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(schema, limits=Limits(), alone=STANDS_ALONE)


def checking(path: Path, documents: Documents) -> tuple[list[ToPublish], list[str]]:
    given, wrong = read(path)
    good, complaints = checked(given, documents, documents.limits)
    return good, [str(each) for each in sorted([*wrong, *complaints], key=lambda c: c.place)]


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.graphql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def apollo(*operations: dict[str, Any], **more: Any) -> str:
    manifest = {"format": "apollo-persisted-query-manifest", "version": 1, **more}
    return json.dumps({**manifest, "operations": list(operations)}, indent=2)


def by_name(good: list[ToPublish]) -> dict[str, str]:
    return {each.name: each.id for each in good}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("apollo.json", 9),
        ("codegen/persisted-documents.json", 9),
        ("relay-sha256.json", 7),
        ("relay-md5.json", 7),
    ],
)
def test_what_the_real_tools_wrote_is_read(documents: Documents, name: str, count: int) -> None:
    good, wrong = checking(GOLDEN / name, documents)

    assert wrong == []
    assert len(good) >= count
    for each in good:
        assert each.sha256 == digest(each.text)
        assert each.id == (md5(each.text.encode()).hexdigest() if "md5" in name else each.sha256)
        assert each.name in each.text


def test_formats_are_told_apart_by_their_content(tmp_path: Path, documents: Documents) -> None:
    hash_ = digest(ME)
    for number, text in enumerate(
        [
            apollo({"id": hash_, "name": "Me", "type": "query", "body": ME}),
            json.dumps({hash_: ME}),
            json.dumps({f"sha256:{hash_}": ME}),
            json.dumps([[hash_, ME]]),
        ]
    ):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        good, wrong = checking(path, documents)
        assert (by_name(good), wrong) == ({"Me": hash_}, [])
    alone = written(tmp_path / "one", me=ME) / "me.graphql"
    for path in (alone, alone.parent):
        good, wrong = checking(path, documents)
        assert (by_name(good), wrong) == ({"Me": hash_}, [])


def test_in_a_folder_fragments_are_shared_and_a_whole_file_is_its_own_document(
    tmp_path: Path, documents: Documents
) -> None:
    folder = written(
        tmp_path,
        fragments="# shared\nfragment B on Viewer { email }\n\nfragment A on Viewer { ...B role }\n"
        "fragment Unused on Viewer { nothing }",
        deep__two="query One { viewer { ...A } }\n\n  query Two { viewer { id } }",
        alone="query Alone { viewer { ...C } }\n\nfragment C on Viewer { id }\n",
    )
    good, wrong = checking(folder, documents)

    assert wrong == []
    texts = {each.name: each.text for each in good}
    assert texts == {
        "Alone": (folder / "alone.graphql").read_text(),
        "One": "query One { viewer { ...A } }\n\nfragment A on Viewer { ...B role }\n\n"
        "fragment B on Viewer { email }\n",
        "Two": "query Two { viewer { id } }\n",
    }


def test_everything_that_is_wrong_in_a_folder_is_said_with_file_line_and_column(
    tmp_path: Path, documents: Documents
) -> None:
    folder = written(
        tmp_path,
        a="query A {\n  viewer {\n    emial\n    ...F\n    ...G\n  }\n}",
        b="# x\n\n  fragment F on Viewer { rol\n      mail }",
        c="query C {\n  viewer {",
        d="query A { viewer { id } }\nfragment F on Viewer { id }\n{ viewer { id } }",
        e="type Query { a: Int }",
        f="mutation Two { signOut { signedOut }\n a: signOut { signedOut } }",
    )
    good, wrong = checking(folder, documents)

    assert good == []
    assert [each.partition(" ")[0] for each in wrong] == [
        "a.graphql:3:5:",
        "a.graphql:5:8:",
        "b.graphql:3:26:",
        "b.graphql:4:7:",
        "c.graphql:2:11:",
        "d.graphql:1:1:",
        "d.graphql:2:1:",
        "d.graphql:3:1:",
        "e.graphql:1:1:",
        "f.graphql:1:1:",
    ]
    assert "Did you mean 'email'" in wrong[0]
    assert "the operation A is at a.graphql:1:1 already" in wrong[5]


def test_in_a_manifest_a_place_is_its_line_there_and_the_line_in_the_text(
    tmp_path: Path, documents: Documents
) -> None:
    path = tmp_path / "manifest.json"
    broken = "query Broken {\n  viewer {\n    emial\n  }\n}"
    path.write_text(
        apollo(
            {"id": digest(LINKS), "name": "Links", "type": "query", "body": LINKS},
            {"id": digest(broken), "name": 'Broken "quoted"\n', "type": "query", "body": broken},
            {"id": digest(ME), "name": "Changed", "type": "query", "body": ME + " "},
            {"id": digest(ME).upper(), "name": "Case", "type": "query", "body": ME},
            {"id": "ä b", "name": "Alphabet", "type": "query", "body": ME},
            {"id": "same", "name": "First", "type": "query", "body": ME},
            {"id": "same", "name": "Second", "type": "query", "body": LINKS},
            {"id": "same", "name": "Again", "type": "query", "body": ME},
            {"name": "NoId", "body": ME},
            {"id": "nul", "name": "Nul", "body": "# \0\n" + ME},
        )
    )  # fmt: skip
    _, wrong = checking(path, documents)

    assert wrong[0] == (
        'manifest.json:15 (Broken "quoted"\ufffd 3:5): '
        "Cannot query field 'emial' on type 'Viewer'. Did you mean 'email'?"
    )
    assert wrong[1:] == [
        f"manifest.json:21 (Changed 1:1): the SHA-256 of the text is {digest(ME + ' ')}, not its id",
        "manifest.json:27 (Case 1:1): a SHA-256 is written with 64 digits, in lower case",
        "manifest.json:33 (Alphabet 1:1): an id is 1 to 128 of A-Z a-z 0-9 - . _ ~ and :",
        "manifest.json:45 (Second 1:1): there is another text with the id same already",
        "manifest.json:54: operation 9 has no id and body",
        "manifest.json:60 (Nul 1:1): text holds no NUL and no lone surrogate",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": "query A { viewer { id } }",}', "m.json:1:35: no JSON"),
        ('{\n "a": 1}', "m.json: a manifest is JSON"),
        ("[]x", "m.json:1:3: no JSON"),
        ('[["a"]]', "a manifest is JSON"),
        ('[["a", "{a}", "b"]]', "a manifest is JSON"),
        ('[{"id": "a", "body": "{a}"}]', "a manifest is JSON"),
        ("7", "a manifest is JSON"),
        ("NaN", "NaN is no JSON"),
        (apollo(version=2), "m.json:2: of formats with a name"),
        (apollo(format="other"), "m.json:2: of formats with a name"),
        ('{"format": "apollo-persisted-query-manifest", "version": 1}', "it has no list"),
        ("[" * 100_000, "nested too deep"),
        ("\ufeff{}", "no JSON"),
    ],
)
def test_what_is_no_manifest_is_said_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(Unreadable) as unreadable:
        read(path)
    [complaint] = unreadable.value.complaints
    assert said in str(complaint)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    for write in (lambda: path.write_bytes(b"\xff{}"), lambda: _sparse(path), path.unlink):
        write()
        with pytest.raises(Unreadable):
            read(path)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(FILE_MAX + 1)


def test_a_document_of_too_much_is_refused_unless_it_has_limits_of_its_own(
    tmp_path: Path, documents: Documents
) -> None:
    path = tmp_path / "m.json"
    text = "query Deep {" + " ".join(f"a{n}: viewer {{ id }}" for n in range(31)) + "}"
    path.write_text(json.dumps({"deep": text}))
    given, _ = read(path)

    assert [str(each) for each in checked(given, documents, Limits())[1]] == [
        "m.json:1 (deep 1:1): The document's root fields exceed 20."
    ]
    [good], wrong = checked(given, documents, Limits(root_fields=40, aliases=40))
    assert (good.id, good.name, wrong) == ("deep", "Deep", [])


def test_an_operation_that_could_never_run_for_its_cost_is_refused_before_anybody_asks_it(
    tmp_path: Path, documents: Documents
) -> None:
    dear = "{ accounts { transactions(first: 500) { nodes { id } } } }"
    folder = written(
        tmp_path,
        fine=f"query Fine {dear}",
        dear="query Dear($n: Int = 500) {\n  a: transactions(first: $n) { nodes { id account { "
        "transactions(first: $n) { nodes { id } } } } }\n}",
        unknown="query Unknown($n: Int!) { transactions(first: $n) { nodes { id account { "
        "transactions(first: $n) { nodes { id } } } } } }",
    )
    good, [wrong] = checking(folder, documents)

    assert {each.name for each in good} == {"Dear", "Fine", "Unknown"}
    assert wrong.startswith("dear.graphql:1:1: The operation's cost of 251,")
    given, _ = read(folder)
    assert checked(given, documents, Limits(cost=300_000))[1] == []


# ── the built-in manifest ───────────────────────────────────────────────────


def test_the_built_in_manifest_fits_the_schema_and_each_file_is_its_document(
    documents: Documents,
) -> None:
    good, wrong = checking(builtin.FOLDER, documents)

    assert wrong == []
    assert {(each.sha256, each.name) for each in good} == {
        (each.sha256, each.name) for each in builtin.manifest()
    }
    identity = {name[:1].upper() + name[1:] for name in STANDS_ALONE}
    missing = identity - {each.name for each in good}
    assert missing == {"DeleteViewer", "RevokeSession", "RevokeOtherSessions"}


def test_it_has_what_is_printed_for_a_newcomer(documents: Documents) -> None:
    texts = {each.name: each.text for each in builtin.manifest()}
    readme = (ROOT / "README.md").read_text()
    [said] = re.findall(r'"(\{ netWorth .*)"\n', readme)
    [first] = parse(texts["FirstQuery"]).definitions
    assert isinstance(first, OperationDefinitionNode)
    assert print_ast(first.selection_set) == print_ast(parse(said)).strip()


def test_it_has_a_query_that_tells_all_of_the_schema() -> None:
    texts = {each.name: each.text for each in builtin.manifest()}
    told = graphql_sync(schema, texts["IntrospectionQuery"]).data

    assert told is not None
    built = build_client_schema(cast("IntrospectionQuery", told))
    assert print_schema(lexicographic_sort_schema(built)) == print_schema(
        lexicographic_sort_schema(build_schema(printed()))
    )


SCRIPTS = [PAGES / f"{name}.js" for name in ("session", "reset-password", "verify-email")]


@pytest.mark.parametrize(
    "script", [*SCRIPTS, ROOT / "web" / "src" / "fetcher.js"], ids=lambda path: path.stem
)
def test_the_gateways_own_pages_ask_for_documents_of_it(script: Path) -> None:
    text = script.read_text()
    asked = set(re.findall(r'"sha256:([0-9a-f]{64})"', text))
    assert asked
    assert asked <= {each.sha256 for each in builtin.manifest()}
    assert "mutation" not in text
