"""Text to a tree of aggregates: SGML without closing tags and XML alike, in one pass."""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property

from adapters.ofx.errors import Illegible, OfxError
from adapters.ofx.source import Source
from adapters.ofx.tags import AGGREGATES, EITHER, LEAVES, LISTS, MESSAGE_SETS, RECORDS
from adapters.ofx.values import OfxDate, decimal, moment

DEPTH_MAX = 64
RECORDS_MAX = 200_000
AGGREGATES_MAX = 250_000  # of every kind; 10 MiB of real records hold at most 200,000
STRAY_MAX = 1_000  # "<" that open no tag, in one text
TAGS_MAX = 1_500_000  # counts every "<": what a 10 MiB file of records really holds is half of it

# No part can take what the next one begins with, so that no text makes it backtrack further than
# to the "<" before. A "<" that opens no tag is text. Possessive only on single characters:
# Pythons before 3.11.5 match a possessive group wrongly (python/cpython#106052).
_TAG = r"/?+[A-Za-z][\w.:-]*+(?:[\s/][^<>]*+)?>"
_TOKEN = re.compile(
    r"<(/?+)([A-Za-z][\w.:-]*+)((?:[\s/][^<>]*+)?)>"
    rf"([^<]*+(?:<(?:!\[CDATA\[(?s:.*?)\]\]>|(?!{_TAG}))[^<]*+){{0,{STRAY_MAX}}})",
    re.ASCII,
)
_ENTITY = re.compile(r"&(?:(amp|lt|gt|quot|apos|nbsp)|#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6}));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_ROOT = re.compile(r"<OFX[\s>]", re.IGNORECASE)
_PROSE = frozenset(("MEMO", "NAME", "MESSAGE"))  # a second one goes on where the first ended
PROSE_CHARS_MAX = 2000


class Node:
    """An aggregate: its known leaves by tag (blank ones are absent) and the aggregates in it.

    `start` and `end` cut it out of the source; `line` is 1-based. `closed` is false where its
    closing tag is missing, so that it may hold what belongs elsewhere.
    """

    __slots__ = ("closed", "end", "kids", "leaves", "line", "repeated", "start", "tag")

    def __init__(self, tag: str, start: int, line: int) -> None:
        self.tag = tag
        self.start = start
        self.end = start
        self.line = line
        self.closed = False
        self.leaves: dict[str, str] = {}
        self.kids: list[Node] | tuple[()] = ()
        self.repeated: set[str] | tuple[()] = ()

    def text(self, tag: str) -> str | None:
        return self.leaves.get(tag)

    def decimal(self, tag: str) -> Decimal | None:
        """The leaf's number, None where it is absent or blank: never 0.

        Raises:
            Illegible: it is no number, or is given twice with different values.
        """
        text = self.leaves.get(tag)
        return None if text is None else self.decimal_required(tag)

    def decimal_required(self, tag: str) -> Decimal:
        """As `decimal`, and absence is `Illegible` too."""
        try:
            return decimal(self._once(tag))
        except Illegible as error:
            raise Illegible(f"{tag}: {error}") from None

    def date(self, tag: str) -> OfxDate | None:
        """The leaf's date, None where it is absent, blank or all zeros.

        Raises:
            Illegible: it is no date, or is given twice with different values.
        """
        if tag not in self.leaves:
            return None
        try:
            return moment(self._once(tag))
        except Illegible as error:
            raise Illegible(f"{tag}: {error}") from None

    def date_required(self, tag: str) -> OfxDate:
        """As `date`, and absence is `Illegible` too."""
        found = self.date(tag)
        if found is None:
            raise Illegible(f"{tag}: it is missing")
        return found

    def _once(self, tag: str) -> str:
        text = self.leaves.get(tag)
        if text is None:
            raise Illegible("it is missing")
        if tag in self.repeated:
            raise Illegible("it is given twice, with different values")
        return text

    def kid(self, tag: str) -> "Node | None":
        """The first aggregate of that name directly in this one."""
        for kid in self.kids:
            if kid.tag == tag:
                return kid
        return None

    def find(self, *tags: str) -> "Node | None":
        """The first aggregate of those names at any depth."""
        return next(self.each(frozenset(tags)), None)

    def each(self, tags: frozenset[str]) -> "Iterator[Node]":
        """Those aggregates at any depth, in document order, without looking inside them."""
        for kid in self.kids:
            if kid.tag in tags:
                yield kid
            elif kid.kids:
                yield from kid.each(tags)


class _Shapes:
    """Which unknown tags are ever closed, and which ever carry text: asked only when needed."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _closed(self) -> frozenset[str]:
        found = re.finditer(r"</([A-Za-z][\w.:-]*+)", self._text, re.ASCII)
        return frozenset(tag[1].upper() for tag in found)

    @cached_property
    def _with_text(self) -> frozenset[str]:
        found = re.finditer(r"<([A-Za-z][\w.:-]*+)>\s*+[^<\s]", self._text, re.ASCII)
        return frozenset(tag[1].upper() for tag in found)

    def is_closed(self, tag: str) -> bool:
        return tag in self._closed

    def is_aggregate(self, tag: str) -> bool:
        return tag in self._closed and tag not in self._with_text


def tree(source: Source) -> Node:
    """The `<OFX>` aggregate of a source.

    A missing `</OFX>` is forgiven where all else is closed and a message set beyond the sign-on
    is there; a file that ends inside anything else was cut off, and half of it would be a lie.

    Raises:
        OfxError: cut off, nested too deep, too many tags or records, or a second document.
    """
    if (tags := source.text.count("<")) > TAGS_MAX:
        raise OfxError(f"the file has {tags:,} tags; at most {TAGS_MAX:,} are read")
    return _Builder(source).built()


class _Builder:
    def __init__(self, source: Source) -> None:
        self._text = source.text
        self._start = source.start
        self._shapes = _Shapes(source.text)
        self._line = 1 + source.text.count("\n", 0, source.start)
        self._counted = source.start
        self._records = 0
        self._aggregates = 0
        self._stack: list[Node] = []
        self._open: dict[str, int] = {}  # how many of each are on the stack

    def built(self) -> Node:
        stack, is_open, text, end = self._stack, self._open, "", self._start
        for token in _TOKEN.finditer(self._text, self._start):
            if token.start() != end:
                raise self._lost(end)
            end = token.end()
            slash, tag, attributes, text = token.groups()
            tag = tag.upper()
            if slash:
                if tag in is_open:
                    node = self._pop(tag, token.start(4))
                    if tag == "OFX":
                        return self._alone(node)
                continue
            if tag in LEAVES:
                value = text.strip()
                if value:
                    _put(stack[-1], tag, value)
                    continue
                if tag not in EITHER:
                    continue
            if self._opens(tag, text, attributes):
                self._push(tag, token.start())
                if attributes.endswith("/"):
                    self._pop(tag, token.start(4))
        return self._unfinished(text)

    def _opens(self, tag: str, text: str, attributes: str) -> bool:
        """Whether the tag begins an aggregate; otherwise it is a leaf that is not kept."""
        if attributes.endswith("/"):
            return tag in LISTS  # an empty one says something
        if tag in AGGREGATES:
            return True
        if tag in EITHER:
            return self._shapes.is_closed(tag)
        if text and not text.isspace():
            return False
        return self._shapes.is_aggregate(tag)

    def _push(self, tag: str, start: int) -> None:
        node = Node(tag, start, self._line_at(start))
        self._aggregates += 1
        if self._aggregates > AGGREGATES_MAX:
            raise OfxError(f"more than {AGGREGATES_MAX:,} aggregates", node.line)
        if tag in RECORDS:
            self._end_record_before(node)
        if tag in self._open and tag in AGGREGATES:
            if tag == "OFX":
                raise OfxError("a second <OFX> begins inside the first", node.line)
            self._pop(tag, start).closed = False  # none holds itself: its end is missing
        if len(self._stack) >= DEPTH_MAX:
            raise OfxError(f"aggregates are nested more than {DEPTH_MAX} deep", node.line)
        if self._stack:
            parent = self._stack[-1]
            if parent.kids:
                parent.kids.append(node)
            else:
                parent.kids = [node]
        self._stack.append(node)
        self._open[tag] = self._open.get(tag, 0) + 1

    def _end_record_before(self, node: Node) -> None:
        """Records do not nest, but for the STMTTRN of an INVBANKTRAN: an open one has no end."""
        self._records += 1
        if self._records > RECORDS_MAX:
            raise OfxError(f"more than {RECORDS_MAX:,} records", node.line)
        for outer in self._stack:
            if outer.tag in RECORDS:
                if not (outer.tag == "INVBANKTRAN" and outer is self._stack[-1]):
                    self._pop(outer.tag, node.start).closed = False
                return

    def _pop(self, tag: str, end: int) -> Node:
        """Close the innermost aggregate of that name, and all in it that was left open."""
        while True:
            node = self._stack.pop()
            node.end = end
            if self._open[node.tag] == 1:
                del self._open[node.tag]
            else:
                self._open[node.tag] -= 1
            if node.tag == tag:
                node.closed = True
                return node

    def _line_at(self, offset: int) -> int:
        self._line += self._text.count("\n", self._counted, offset)
        self._counted = offset
        return self._line

    def _alone(self, root: Node) -> Node:
        if another := _ROOT.search(self._text, root.end):
            line = self._line_at(another.start())
            raise OfxError("a second <OFX> follows the first: split the file", line)
        return root

    def _lost(self, end: int) -> OfxError:
        """What stands between two tags and is the text of neither."""
        if not self._stack:
            return OfxError("its <OFX> is not closed by >", self._line_at(end))
        return OfxError(f"more than {STRAY_MAX:,} < in one text", self._line_at(end))

    def _unfinished(self, text: str) -> Node:
        if not self._stack:
            raise self._lost(self._start)
        root, inner = self._stack[0], self._stack[-1]
        root.end = len(self._text)
        is_whole = any(kid.closed and kid.tag in MESSAGE_SETS for kid in root.kids)
        if inner is root and is_whole and not text.strip():
            return root
        raise OfxError(
            f"the file ends inside the <{inner.tag}> of line {inner.line}: it is cut off",
            self._line_at(len(self._text.rstrip())),
        )


def _put(node: Node, tag: str, value: str) -> None:
    if "&" in value or "<" in value:
        value = _plain(value)
        if not value:
            return
    before = node.leaves.setdefault(tag, value)
    if before == value:
        return
    if tag in _PROSE and len(before) < PROSE_CHARS_MAX:
        node.leaves[tag] = f"{before} {value}"
    elif node.repeated:
        node.repeated.add(tag)
    else:
        node.repeated = {tag}


def _plain(text: str) -> str:
    """Entities decoded once, CDATA sections taken as they stand."""
    if "<![CDATA[" not in text:
        return _ENTITY.sub(_character, text).strip()
    parts = _CDATA.split(text)  # outside, inside, outside, …
    parts[::2] = [_ENTITY.sub(_character, outside) for outside in parts[::2]]
    return "".join(parts).strip()


def _character(entity: re.Match[str]) -> str:
    name, number, hexadecimal = entity.groups()
    if name:
        return _ENTITIES[name]
    code = int(number) if number else int(hexadecimal, 16)
    if code < 32 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        return entity[0]  # no character, or one that no text should hold: left as written
    return chr(code)
