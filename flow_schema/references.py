"""What a flow refers to: texts, formulas, variables, secrets, flows and nodes, found by the `Holds` marks.

The walk is generic. For each model class it works out once, from the annotations, where marks can be; a new
node kind is found as soon as its fields carry marks. Paths are JSON pointers into the flow as JSON
(`/nodes/3/data/text`), so that an editor can show the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from flow_schema.expressions import read_names
from flow_schema.fields import Holds, Role, TemplateReference
from flow_schema.flow import Flow

TEXT_ROLES = frozenset({Role.TEXT, Role.OUTCOME_TEXT})
"""Roles whose value is a string, a map of language to string, or a `TemplateReference`."""


@dataclass(frozen=True, slots=True)
class FieldUse:
    """One marked field that has a value; fields that are null are not found.

    `owners` are the models around the field, the outermost first; the last one has the field.
    """

    role: Role
    value: Any
    path: str
    secrets_allowed: bool
    owners: tuple[BaseModel, ...]

    @property
    def owner(self) -> BaseModel:
        """The model that has the field."""
        return self.owners[-1]


_Walk = Callable[[Any, str, tuple[BaseModel, ...]], Iterator[FieldUse]]


def uses(model: BaseModel, path: str = "") -> Iterator[FieldUse]:
    """Every marked field below `model` that has a value, in the order of the fields.

    `path` is put before every path found.
    """
    yield from _walk_model(model, path, ())


def flow_uses(flow: Flow) -> Iterator[tuple[str | None, FieldUse]]:
    """Every marked field of a flow with the id of the node it belongs to, or None for the settings."""
    for index, node in enumerate(flow.nodes):
        for use in uses(node, f"/nodes/{index}"):
            yield node.id, use
    for use in uses(flow.settings, "/settings"):
        yield None, use


def flows_used(flow: Flow) -> set[str]:
    """The names of the flows that this one may run, by actions or as tools of a model."""
    return {str(use.value) for _, use in flow_uses(flow) if use.role is Role.FLOW}


def secrets_used(flow: Flow) -> set[str]:
    """The names of the secrets that the flow reads. Formulas that can't be read are passed over."""
    found: set[str] = set()
    for _, use in flow_uses(flow):
        found |= secrets_in(use)
    return found


def variables_written(flow: Flow) -> set[str]:
    """The variables that any node sets."""
    return {str(use.value) for _, use in flow_uses(flow) if use.role is Role.VARIABLE_WRITE}


def variables_read(flow: Flow) -> set[str]:
    """The names that formulas and texts read, those of the platform included."""
    found: set[str] = set()
    for _, use in flow_uses(flow):
        found |= names_read(use)
    return found


def texts(flow: Flow) -> Iterator[tuple[str | None, FieldUse]]:
    """Every text for people and every instruction for a model, as `flow_uses` gives them."""
    for node_id, use in flow_uses(flow):
        if use.role in TEXT_ROLES:
            yield node_id, use


def templates_used(flow: Flow) -> set[str]:
    """The names of the response templates that the flow refers to."""
    return {
        use.value.template
        for _, use in flow_uses(flow)
        if use.role in TEXT_ROLES and isinstance(use.value, TemplateReference)
    }


def formulas_in(use: FieldUse) -> Iterator[tuple[str, str, bool]]:
    """The strings of a field that the expression language reads, as `(path, string, is a bare formula)`.

    A string that is no bare formula is a text in which `{{ }}` hold formulas.
    """
    match use.role:
        case Role.FORMULA:
            yield use.path, use.value, True
        case Role.VARIABLE_READ:
            yield use.path, use.value, True
        case Role.TEMPLATE:
            yield use.path, use.value, False
        case Role.TEXT | Role.OUTCOME_TEXT | Role.VALUE if not isinstance(use.value, TemplateReference):
            for path, text in _strings(use.value, use.path):
                yield path, text, False
        case _:
            return


def paths_read(use: FieldUse) -> set[tuple[str, ...]]:
    """The names that a field reads, with the keys written after them. Bad formulas read nothing."""
    found: set[tuple[str, ...]] = set()
    for _, text, bare in formulas_in(use):
        if not bare and "{{" not in text:
            continue
        found |= read_names(text, bare=bare)[0]
    return found


def names_read(use: FieldUse) -> set[str]:
    """The first names of `paths_read`."""
    return {path[0] for path in paths_read(use)}


def secrets_in(use: FieldUse) -> set[str]:
    """The names of the secrets that a field reads."""
    return {path[1] for path in paths_read(use) if path[0] == "secrets" and len(path) > 1}


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901) of keys and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    pending: list[tuple[Any, str]] = [(value, path)]
    while pending:
        item, place = pending.pop()
        if isinstance(item, str):
            yield place, item
        elif isinstance(item, list):
            pending.extend((child, f"{place}/{index}") for index, child in reversed(list(enumerate(item))))
        elif isinstance(item, dict):
            pending.extend((child, place + pointer(key)) for key, child in reversed(list(item.items())))


def _walk_model(model: BaseModel, path: str, owners: tuple[BaseModel, ...]) -> Iterator[FieldUse]:
    inside = (*owners, model)
    for name, walk in _plan(type(model)):
        value = getattr(model, name)
        if value is not None:
            yield from walk(value, f"{path}/{name}", inside)


@cache
def _plan(model: type[BaseModel]) -> tuple[tuple[str, _Walk], ...]:
    """The fields of a model class below which marks can be, each with the way to walk its value."""
    plan = []
    for name, info in model.model_fields.items():
        walk = _walker(info.annotation, tuple(info.metadata))
        if walk is not None:
            plan.append((name, walk))
    return tuple(plan)


def _walker(annotation: Any, metadata: tuple[Any, ...] = ()) -> _Walk | None:
    """How to walk a value of `annotation`; None where no mark can be below it."""
    for mark in metadata:
        if isinstance(mark, Holds):
            return _marked(mark)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _walker(arguments[0], tuple(arguments[1:]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _walk_model
    if origin in (Union, UnionType):
        return _walk_union(arguments)
    if origin is list:
        return _walk_list(_walker(arguments[0]))
    if origin is dict:
        return _walk_dict(_walker(arguments[1]))
    return None


def _marked(mark: Holds) -> _Walk:
    def walk(value: Any, path: str, owners: tuple[BaseModel, ...]) -> Iterator[FieldUse]:
        yield FieldUse(mark.role, value, path, mark.secrets, owners)

    return walk


def _walk_union(alternatives: tuple[Any, ...]) -> _Walk | None:
    """Models by their class; anything else by the one alternative that can hold marks."""
    walkers = [_walker(alternative) for alternative in alternatives]
    found = [walk for walk in walkers if walk is not None]
    if not found:
        return None
    others = [walk for walk in found if walk is not _walk_model]
    if len(others) > 1:
        raise TypeError(f"two marked alternatives in one union can't be told apart: {alternatives}")
    models = len(others) < len(found)

    def walk(value: Any, path: str, owners: tuple[BaseModel, ...]) -> Iterator[FieldUse]:
        if models and isinstance(value, BaseModel):
            return _walk_model(value, path, owners)
        return others[0](value, path, owners) if others else iter(())

    return walk


def _walk_list(inner: _Walk | None) -> _Walk | None:
    if inner is None:
        return None

    def walk(value: Any, path: str, owners: tuple[BaseModel, ...]) -> Iterator[FieldUse]:
        for index, item in enumerate(value):
            yield from inner(item, f"{path}/{index}", owners)

    return walk


def _walk_dict(inner: _Walk | None) -> _Walk | None:
    if inner is None:
        return None

    def walk(value: Any, path: str, owners: tuple[BaseModel, ...]) -> Iterator[FieldUse]:
        for key, item in value.items():
            yield from inner(item, path + pointer(key), owners)

    return walk
