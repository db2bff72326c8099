"""Every route names what it needs, in the one table; docs/ shows that table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastapi.routing import APIRoute
from pydantic import SecretStr

from api.app import create_app
from api.dependencies import _caller, _free_person, _person
from api.permissions import ACCOUNT, BY_OPERATION, PERMISSIONS, PUBLIC, Role, permissions_of
from api.permissions_page import render_permissions_page
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def operations() -> dict[str, tuple[str, str]]:
    """Each operation of the API by its name: method and path."""
    document = create_app(Settings(secret_key=SecretStr("x" * 40))).openapi()
    return {
        operation["operationId"]: (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def routes(router: object) -> Iterator[APIRoute]:
    """All routes of the application, however they are nested."""
    for route in getattr(router, "routes", []):
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from routes(getattr(route, "original_router", route))


def test_every_operation_stands_in_the_table_once() -> None:
    named = [*BY_OPERATION, *ACCOUNT, *PUBLIC]
    assert sorted(named) == sorted(operations())
    assert (
        len(named)
        == len(set(named))
        == sum(len(one.operations) for one in PERMISSIONS) + len(ACCOUNT) + len(PUBLIC)
    )


def test_every_route_asks_for_what_the_table_says() -> None:
    """The dependency that checks is there: nothing stands in the table and lets everybody in."""
    app = create_app(Settings(secret_key=SecretStr("x" * 40)))
    checked: dict[str, set[object]] = {}
    for route in routes(app.router):
        called: set[object] = set()
        pending = [route.dependant]
        while pending:
            dependant = pending.pop()
            called.add(dependant.call)
            pending += dependant.dependencies
        checked[route.name] = called
    assert len(checked) > 60
    for name in BY_OPERATION:
        assert _caller in checked[name], name
    for name in ACCOUNT:
        assert checked[name] & {_person, _free_person}, name
    for name in PUBLIC:
        assert not checked[name] & {_caller, _person}, name


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert page == render_permissions_page(), "run `make generate`"


def test_roles_are_as_the_specification_says() -> None:
    assert permissions_of("member") == permissions_of("editor")
    owner = permissions_of("owner")
    assert owner == {permission.name for permission in PERMISSIONS}
    for role in Role:
        assert permissions_of(role) <= owner
    assert permissions_of("viewer") < permissions_of("agent") < permissions_of("editor")
    assert permissions_of("editor") < permissions_of("admin") < owner
    assert permissions_of("viewer", {"secrets.write": True}) == permissions_of("viewer") | {"secrets.write"}
    assert permissions_of("viewer", {"secrets.write": False, "nothing": True}) == permissions_of("viewer")
    assert permissions_of("somebody") == frozenset()
