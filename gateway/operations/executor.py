"""graphql-core's executor, which reads at once what only has to be read.

Most of a large answer are attributes of values that are there already, at 3 µs each in
graphql-core. Where a selection needs nothing else, all the way down, a reader is made of it once a
document, which takes a tenth of that. What surprises a reader (null where none may be, an
exception, a value of another type) is done again by graphql-core, which knows what to say of it:
so answers are the same, and reading twice does no harm.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias, cast

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_non_null_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import (
    FieldDetailsList,
    GroupedFieldSet,
    collect_fields,
)
from graphql.pyutils import AwaitableOrValue, Path

from schema.plain import Plain

Reader: TypeAlias = Callable[[Any], Any]
Split: TypeAlias = tuple[Reader | None, GroupedFieldSet]  # what is read, and the other fields
Key: TypeAlias = tuple[object, ...]  # a type, and the nodes that select from it
Readers: TypeAlias = dict[Key, Split | Reader | None]

AS_THEY_ARE = {"String": str, "ID": str, "Boolean": bool, "Currency": str}
COERCED = {"Int": int, "Float": float, "Decimal": Decimal, "DateTime": datetime, "Date": date}
SURPRISED: Any = object()


class _Surprise(Exception):
    """graphql-core has to look at this."""


class PlainExecutor(Executor[None]):
    """Set `readers` before it runs: those of earlier operations, to which it adds its own.

    They may be shared where the selections are the same: for one document, held as long as they
    are, in which no variable decides by @skip or @include.
    """

    readers: Readers

    def forget(self) -> None:
        """Its parts refer to each other, and would hold every row until the collector comes."""
        del self.async_helpers, self.context_value, self.root_value
        self._relevant_sub_fields.clear()

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: None,
    ) -> AwaitableOrValue[dict[str, Any]]:
        read, others = self._split(parent_type, grouped_field_set)
        found = SURPRISED if read is None else _read(read, source_value)
        if found is SURPRISED:
            others, found = grouped_field_set, {}
        if not others:
            return cast("dict[str, Any]", found)
        rest: Any = super().execute_fields(
            parent_type, source_value, path, others, position_context
        )
        if not found:
            return cast("dict[str, Any]", rest)
        ordered = dict.fromkeys(grouped_field_set) | found
        return _joined(ordered, rest) if self.is_awaitable(rest) else ordered | rest

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: None,
    ) -> AwaitableOrValue[list[Any]]:
        read = self._list_of(return_type, field_details_list)
        found = SURPRISED if read is None else _read(read, result)
        if found is not SURPRISED:
            return cast("list[Any]", found)
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

    # ── making readers; None for what only graphql-core can do ──────────────

    def prepare(self) -> None:
        """Make all that the operation may need, before it ever runs."""
        root = self.schema.get_root_type(self.operation.operation)
        if root is not None:
            selected = collect_fields(
                self.schema, self.fragments, self.variable_values, root, self.operation
            )
            self._prepare(root, selected.grouped_field_set)

    def _prepare(self, of: GraphQLObjectType, selected: GroupedFieldSet) -> None:
        if _key(of, selected) in self.readers:
            return
        _, others = self._split(of, selected)
        for details in others.values():
            field = of.fields.get(details[0].node.name.value)
            if field is None:  # of introspection
                continue
            kind = get_nullable_type(field.type)
            if isinstance(kind, GraphQLList) and self._list_of(kind, details) is not None:
                continue
            for each in self._objects(get_named_type(kind)):
                self._prepare(each, self.collect_subfields(each, details).grouped_field_set)

    def _objects(self, of: GraphQLNamedType) -> Sequence[GraphQLObjectType]:
        if isinstance(of, GraphQLObjectType):
            return [of]
        return self.schema.get_possible_types(of) if is_abstract_type(of) else []

    def _list_of(
        self, of: GraphQLList[GraphQLOutputType], details: FieldDetailsList
    ) -> Reader | None:
        key: Key = ("list", of.of_type, *(id(d.node) for d in details))
        if key not in self.readers:
            self.readers[key] = self._list(of, details)
        return cast("Reader | None", self.readers[key])

    def _split(self, parent_type: GraphQLObjectType, selected: GroupedFieldSet) -> Split:
        key = _key(parent_type, selected)
        known: Any = self.readers.get(key)
        if known is None:
            plain: dict[str, Reader] = {}
            others: GroupedFieldSet = {}
            for name, details in selected.items():
                if (read := self._field(parent_type, details)) is not None:
                    plain[name] = read
                else:
                    others[name] = details
            known = _fields(plain) if plain else None, others
            self.readers[key] = known
        return cast("Split", known)

    def _field(self, of: GraphQLObjectType, details: FieldDetailsList) -> Reader | None:
        name = details[0].node.name.value
        if name == "__typename":
            return lambda _: of.name
        field = of.fields.get(name)
        if field is None or not isinstance(field.resolve, Plain):
            return None
        read, complete = field.resolve.read, self._value(field.type, details)
        return None if complete is None else lambda source: complete(read(source))

    def _value(self, of: GraphQLOutputType, details: FieldDetailsList) -> Reader | None:
        if is_non_null_type(of):
            return self._present(of.of_type, details)
        present = self._present(of, details)
        if present is None:
            return None
        return lambda value: None if value is None else present(value)

    def _present(self, of: GraphQLOutputType, details: FieldDetailsList) -> Reader | None:
        match of:
            case GraphQLScalarType():
                return _scalar(of)
            case GraphQLEnumType():
                return _enum(of)
            case GraphQLObjectType():
                return self._object(of, details)
            case GraphQLList():
                return self._list(of, details)
        return None

    def _list(self, of: GraphQLList[Any], details: FieldDetailsList) -> Reader | None:
        item = self._value(of.of_type, details)

        def read(values: Any) -> list[Any]:
            if type(values) is not list and type(values) is not tuple:
                raise _Surprise
            return [item(value) for value in values]  # type: ignore[misc]  # it is there

        return None if item is None else read

    def _object(self, of: GraphQLObjectType, details: FieldDetailsList) -> Reader | None:
        selected = self.collect_subfields(of, details).grouped_field_set
        readers = {name: self._field(of, each) for name, each in selected.items()}
        known = {name: read for name, read in readers.items() if read is not None}
        if len(known) < len(readers):
            return None
        fields, is_type_of = _fields(known), of.is_type_of
        kinds: set[type] = set()  # those that are known to be of this type

        def read(value: Any) -> dict[str, Any]:
            kind = type(value)
            if kind not in kinds:
                if value is None or isinstance(value, Exception):
                    raise _Surprise
                if is_type_of is not None and not is_type_of(value, None):  # type: ignore[arg-type]
                    raise _Surprise
                kinds.add(kind)
            return cast("dict[str, Any]", fields(value))

        return read


def _key(of: GraphQLObjectType, selected: GroupedFieldSet) -> Key:
    return (of, *(id(d.node) for details in selected.values() for d in details))


def _fields(readers: dict[str, Reader]) -> Reader:
    pairs = tuple(readers.items())
    return lambda source: {name: read(source) for name, read in pairs}


def _scalar(of: GraphQLScalarType) -> Reader | None:
    if (kind := AS_THEY_ARE.get(of.name)) is not None:

        def read(value: Any) -> Any:
            if type(value) is kind:
                return value
            raise _Surprise

        return read
    if (expected := COERCED.get(of.name)) is None:
        return None
    coerce = of.coerce_output_value

    def read_coerced(value: Any) -> Any:
        if type(value) is expected:
            return coerce(value)
        raise _Surprise

    return read_coerced


def _enum(of: GraphQLEnumType) -> Reader:
    names: dict[Enum, str] = {}

    def read(value: Any) -> str:
        if not isinstance(value, Enum):
            raise _Surprise
        if value not in names:
            names[value] = of.coerce_output_value(value)
        return names[value]

    return read


def _read(read: Reader, source: Any) -> Any:
    try:
        return read(source)
    except Exception:  # noqa: BLE001 - graphql-core meets it again, and says it to the client
        return SURPRISED


async def _joined(found: dict[str, Any], rest: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return found | await rest
