"""What an SDL says, one sentence each, so that two can be compared whatever their order."""

from collections.abc import Iterator

from graphql import (
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    parse,
    print_ast,
)

Typed = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode


def coordinates(sdl: str) -> dict[str, str]:
    """Schema coordinate to everything that is promised there: kind, type, default."""
    found: dict[str, str] = {}
    for node in parse(sdl).definitions:
        if isinstance(node, ScalarTypeDefinitionNode):
            found[node.name.value] = "scalar"
        elif isinstance(node, Typed):
            found |= _typed(node)
        elif isinstance(node, InputObjectTypeDefinitionNode):
            name = node.name.value
            found[name] = f"input {[d.name.value for d in node.directives or ()]}"
            for value in node.fields or ():
                found[f"{name}.{value.name.value}"] = _of(value.type, value.default_value)
        elif isinstance(node, EnumTypeDefinitionNode):
            found[node.name.value] = "enum"
            for one in node.values or ():
                found[f"{node.name.value}.{one.name.value}"] = "value"
    return found


def _typed(node: Typed) -> dict[str, str]:
    name = node.name.value
    kind = "type" if isinstance(node, ObjectTypeDefinitionNode) else "interface"
    found = {name: f"{kind} {sorted(i.name.value for i in node.interfaces or ())}"}
    for field in node.fields or ():
        found |= dict(_field(name, field))
    return found


def _field(of: str, field: FieldDefinitionNode) -> Iterator[tuple[str, str]]:
    name = f"{of}.{field.name.value}"
    yield name, print_ast(field.type)
    for argument in field.arguments or ():
        yield f"{name}({argument.name.value})", _of(argument.type, argument.default_value)


def _of(type_: object, default: object) -> str:
    """A default of null is no more than none."""
    said = "" if default is None else print_ast(default)  # type: ignore[arg-type]
    return print_ast(type_) + (f" = {said}" if said not in ("", "null") else "")  # type: ignore[arg-type]
