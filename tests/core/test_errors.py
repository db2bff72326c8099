"""The tree of errors: what its docstring draws is what it is, and each becomes a problem document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import core.errors
from core.errors import RateLimitedError, UnprocessableError, VersaError

_DRAWN = re.compile(r"(\w+Error)\s+(\d{3}) ([a-z-]+)")


def tree(kind: type[VersaError] = VersaError) -> Iterator[type[VersaError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == core.errors.__name__:
            yield from tree(child)


def test_the_drawing_is_the_tree() -> None:
    drawn = {(name, int(status), slug) for name, status, slug in _DRAWN.findall(core.errors.__doc__ or "")}
    assert drawn == {(kind.__name__, kind.status, kind.slug) for kind in tree()}


def test_the_problems_page_is_current() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == core.errors.render_problems_page(), "run `make generate`"


def test_slugs_are_unique() -> None:
    slugs = [kind.slug for kind in tree()]
    assert len(slugs) == len(set(slugs))


@pytest.mark.parametrize("kind", list(tree()))
def test_each_becomes_a_problem(kind: type[VersaError]) -> None:
    problem = kind("What happened.", code="x").problem("/api/v1/thing")
    assert set(problem) >= {"type", "title", "status", "detail", "instance", "code"}
    assert problem["type"].startswith("urn:versaai:problem:")
    assert problem["type"].endswith(":" + kind.slug)
    assert 400 <= problem["status"] <= 599
    assert problem["detail"] == "What happened."


def test_extra_members_do_not_overwrite_the_standard_ones() -> None:
    problem = UnprocessableError("Bad.", errors=[{"detail": "a"}], status=200).problem()
    assert problem["status"] == 422
    assert problem["errors"] == [{"detail": "a"}]


def test_rate_limits_say_when_to_return() -> None:
    error = RateLimitedError("Slow down.", retry_after=7)
    assert error.headers() == {"Retry-After": "7"}
    assert error.problem()["retry_after"] == 7
