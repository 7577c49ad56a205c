"""What members the vendors themselves say their bodies have: read off OpenAI's published description (shared material, not in the
repository) and off the types of the official SDKs. Each object type is a node: {type: {member: {types of what stands there}}}.
"""

import functools
import inspect
import types
import typing

import typing_extensions
import yaml

from . import recordings


def reachable(nodes, roots, whole=()):
    """The types that a body of one of the root types may hold; those in `whole` are not looked into."""
    seen, todo = set(), list(roots)
    while todo:
        name = todo.pop()
        if name in seen or name in whole:
            continue
        seen.add(name)
        for children in nodes[name].values():
            todo += children
    return seen


# ---- OpenAI's description ------------------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=1)
def openai():
    """Nodes of all schemas; an object written inside another is called PARENT.member. None without the description."""
    shared = recordings.shared_dir()
    if shared is None or not (shared / "spec" / "openai-openapi.yaml").is_file():
        return None
    text = (shared / "spec" / "openai-openapi.yaml").read_text(encoding="utf-8")
    schemas = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["components"]["schemas"]
    nodes = {}

    def objects_of(schema, name):
        """Names of the nodes a value of this schema may be."""
        if "$ref" in schema:
            return named(schema["$ref"].rpartition("/")[2])
        return inline(schema, name)

    def named(name):
        if name not in nodes:
            nodes[name] = {}
            if members := members_of(schemas[name], name):
                nodes[name] = members
                return {name}
            del nodes[name]
            nodes[name] = None
            found = inline(schemas[name], name)
            nodes[name] = found         # not an object: what it stands for
            return found
        return {name} if isinstance(nodes[name], dict) else nodes[name] or set()

    def members_of(schema, name):
        """The members of the object itself, those of allOf included."""
        out = {}
        for part in schema.get("allOf", ()):
            if "$ref" in part:
                target = schemas[part["$ref"].rpartition("/")[2]]
                out |= members_of(target, part["$ref"].rpartition("/")[2])
            else:
                out |= members_of(part, name)
        for member, value in (schema.get("properties") or {}).items():
            out[member] = objects_of(value, f"{name}.{member}")
        return out

    def inline(schema, name):
        out = set()
        if schema.get("properties") or any("properties" in p or "$ref" in p for p in schema.get("allOf", ())):
            if members := members_of(schema, name):
                nodes[name] = members
                return {name}
        for key in ("oneOf", "anyOf", "allOf"):
            for i, part in enumerate(schema.get(key, ())):
                out |= objects_of(part, name if len(schema[key]) == 1 else f"{name}/{i}")
        if isinstance(schema.get("items"), dict):
            out |= objects_of(schema["items"], name)
        return out

    for name in schemas:
        named(name)
    return {name: members for name, members in nodes.items() if isinstance(members, dict)}


# ---- types of the SDKs -----------------------------------------------------------------------------------------------------

def _classes_in(hint, is_node):
    """The classes of that sort anywhere in a type hint."""
    if inspect.isclass(hint) and not isinstance(hint, types.GenericAlias) and is_node(hint):
        return {hint}
    out = set()
    for part in typing.get_args(hint):
        if not isinstance(part, str):
            out |= _classes_in(part, is_node)
    value = getattr(hint, "__value__", None)        # type X = ...
    return out | (_classes_in(value, is_node) if value is not None else set())


def typed_dicts(*roots):
    """Nodes of TypedDicts, as the SDKs of OpenAI and Anthropic write requests."""
    return _collect(roots, typing_extensions.is_typeddict, lambda cls: {k: (k, h) for k, h in typing.get_type_hints(cls).items()})


def models(*roots):
    """Nodes of pydantic models, under the names that go over the wire."""
    import pydantic

    def is_model(cls):
        return issubclass(cls, pydantic.BaseModel) and cls.__module__.partition(".")[0] not in ("pydantic",)

    def members(cls):
        return {name: (field.alias or name, field.annotation) for name, field in cls.model_fields.items()}

    return _collect(roots, is_model, members)


def _collect(roots, is_node, members):
    nodes, todo = {}, list(roots)
    while todo:
        cls = todo.pop()
        if cls.__name__ in nodes:
            continue
        nodes[cls.__name__] = {}
        for name, hint in members(cls).values():
            children = _classes_in(hint, is_node)
            nodes[cls.__name__][name] = {c.__name__ for c in children}
            todo += children
    return nodes


def types_of(union):
    """The values of `type` of the members of a union of models."""
    while typing.get_origin(union) is typing.Annotated:
        union = typing.get_args(union)[0]
    return {value for cls in typing.get_args(union) for value in typing.get_args(cls.model_fields["type"].annotation)}
