"""Bytes to text: caps, what is no OFX at all, and the encoding."""

import re
from dataclasses import dataclass

from adapters.ofx.errors import OfxError

BYTES_MAX = 10 * 1024 * 1024
HEADER_CHARS_MAX = 64 * 1024  # some banks put HTTP headers or blank lines before the document
COMMENTS_MAX = 10_000

_BODY = re.compile(r"<OFX(?=[\s>])", re.IGNORECASE)
_VERSION = re.compile(r"VERSION\s*[:=]\s*[\"']?([0-9]{3})(?![0-9])", re.IGNORECASE)
_CHARSET = re.compile(r"CHARSET\s*:\s*([\w-]+?)(?=COMPRESSION|[^\w-]|$)", re.IGNORECASE)
_ENCODING = re.compile(
    r"\bENCODING\s*[:=]\s*[\"']?([\w-]+?)(?=CHARSET|COMPRESSION|[^\w-]|$)", re.IGNORECASE
)
_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODEPAGE = re.compile(
    r"(?:cp|windows-?)?(125[0-8]|437|850|852|866|874|932|936|949|950)", re.IGNORECASE
)
_NAMED = re.compile(
    r"iso-?8859-?[0-9]{1,2}|latin-?[0-9]{1,2}|koi8-[ru]|gb2312|gbk|gb18030|big5|"
    r"shift_?-?jis|euc-?(?:jp|kr)",
    re.IGNORECASE,
)
_SIGNATURES = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"{", "JSON"),
    (b"!Type:", "a QIF file"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """The decoded text with `\\n` line ends, where `<OFX>` begins, and the header's version."""

    text: str
    start: int
    version: str | None


def source(raw: bytes, *, bytes_max: int) -> Source:
    """Decode a file: a BOM decides, else UTF-8 if it fits, else the header, cp1252 last.

    UTF-8 goes first because banks write it under a `CHARSET:1252` header, while text of another
    encoding is hardly ever valid UTF-8.

    Raises:
        OfxError: too large, empty, binary, without `<OFX>`, or declaring XML entities.
    """
    if len(raw) > bytes_max:
        raise OfxError(f"the file has {len(raw):,} bytes; at most {bytes_max:,} are read")
    if not raw.strip():
        raise OfxError("the file is empty")
    text = _decoded(raw)
    if "\r" in text:
        text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
    body = _BODY.search(text, 0, HEADER_CHARS_MAX)
    if body is None:
        raise OfxError("no <OFX> tag at its beginning: this is not an OFX, QFX or QBO file")
    header = text[: body.start()]
    version = _VERSION.search(header)
    return Source(
        text=_without_declarations(text),
        start=body.start(),
        version=version[1] if version else None,
    )


def _decoded(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = _tried(raw, "utf-16")
        if text is None or "\0" in text:
            raise OfxError("the file begins as UTF-16 and cannot be read as such")
        return text
    head = raw[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, kind in _SIGNATURES:
        if head.startswith(signature.lower()):
            raise OfxError(f"this is {kind}, not an OFX file")
    if (nul := raw.find(b"\0")) >= 0:
        raise OfxError("the file contains NUL bytes", raw.count(b"\n", 0, nul) + 1)
    text = _tried(raw, "utf-8-sig")
    if text is None:
        named = _named_encoding(raw[:HEADER_CHARS_MAX].decode("latin-1"))
        text = _tried(raw, named) if named else None
    # The five bytes that cp1252 leaves open become U+FFFD: visible, and never in a figure.
    return raw.decode("cp1252", "replace") if text is None else text


def _tried(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _named_encoding(head: str) -> str | None:
    """The header's encoding if it is one of those in use; never any codec that it may name."""
    body = _BODY.search(head)
    header = head[: body.start()] if body else head
    for pattern in (_CHARSET, _ENCODING):
        found = pattern.search(header)
        if found is None:
            continue
        if codepage := _CODEPAGE.fullmatch(found[1]):
            return f"cp{codepage[1]}"
        if _NAMED.fullmatch(found[1]) and _is_known(found[1]):
            return found[1]
    return None


def _is_known(encoding: str) -> bool:
    try:
        "".encode(encoding)
    except LookupError:
        return False
    return True


def _without_declarations(text: str) -> str:
    """The text with comments blanked, so that every offset and line number stays.

    Raises:
        OfxError: a DTD (entities could expand without end) or a comment without its end.
    """
    if "<!" not in text:
        return text
    if declared := _DECLARATION.search(text):
        line = text.count("\n", 0, declared.start()) + 1
        raise OfxError(f"<!{declared[1].upper()} is refused: OFX needs no DTD", line)
    for opening, closing in (("<!--", "-->"), ("<![CDATA[", "]]>")):
        last = text.rfind(opening)
        if last >= 0 and text.find(closing, last) < 0:
            raise OfxError(f"{opening} without {closing}", text.count("\n", 0, last) + 1)
    if text.count("<!--") > COMMENTS_MAX:
        raise OfxError(f"more than {COMMENTS_MAX:,} comments")
    return _COMMENT.sub(_blanked, text)


def _blanked(comment: re.Match[str]) -> str:
    return "\n".join(" " * len(line) for line in comment[0].split("\n"))
