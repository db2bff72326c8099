"""Limits that no answer can satisfy, schedules that never open, telephone regions that do not exist."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final

import phonenumbers

from flow_schema.checks.subject import Subject
from flow_schema.expressions import ExpressionError, evaluate, names_in_formula
from flow_schema.findings import Finding, finding
from flow_schema.nodes.input import (
    DateField,
    DateRangeField,
    InputField,
    InputNode,
    NumberField,
    PhoneField,
    TextField,
    TimeField,
)
from flow_schema.nodes.question import QuestionNode

_MOMENTS: Final = (
    datetime(2000, 1, 31, 12, tzinfo=UTC),
    datetime(2028, 2, 29, 12, tzinfo=UTC),
    datetime(2099, 12, 31, 12, tzinfo=UTC),
)
"""Limits of days may depend on the day: what no answer satisfies at any of these is wrong at all times."""


def check_limits(subject: Subject) -> Iterator[Finding]:
    """Limits of questions, inputs and schedules, and the regions of telephone numbers."""
    for index, node in enumerate(subject.flow.nodes):
        data = f"/nodes/{index}/data"
        match node:
            case QuestionNode():
                yield from _question(node, data)
            case InputNode():
                problem = _contradiction(node.data.field, subject.flow.settings.timezone or "UTC")
                if problem is not None:
                    yield _impossible(problem, "Correct the limits.", f"{data}/field", node.id)
                yield from _region(node, data)
            case _:
                pass
    yield from _schedules(subject)


def _question(node: QuestionNode, data: str) -> Iterator[Finding]:
    question = node.data
    count = len(question.options)
    most = question.max_choices if question.multiple else 1
    problem = None
    if question.options and question.multiple and question.min_choices > count:
        problem = f"at least {question.min_choices} choices are asked for, and there are {count} options"
    elif most is not None and question.min_choices > most:
        problem = f"at least {question.min_choices} choices are asked for, and at most {most} is allowed"
    if problem is not None:
        yield _impossible(problem, "Lower `min_choices`, or set `multiple`.", f"{data}/min_choices", node.id)


def _contradiction(field: InputField, timezone: str) -> str | None:
    """Why no answer fits the limits of a field; None if one may."""
    match field:
        case TextField(min_length=least, max_length=most) if least > most:
            return f"at least {least} and at most {most} characters are asked for"
        case NumberField(min=float(smallest), max=float(largest), integer=integer):
            if smallest > largest:
                return f"the number must be at least {smallest:g} and at most {largest:g}"
            if integer and math.ceil(smallest) > math.floor(largest):
                return f"there is no whole number from {smallest:g} to {largest:g}"
        case TimeField(earliest=earliest, latest=latest) if earliest and latest and earliest > latest:
            return f"the time must not be before {earliest} nor after {latest}"
        case (
            DateField(earliest=str(earliest), latest=str(latest))
            | DateRangeField(earliest=str(earliest), latest=str(latest))
        ):
            days = [(_day(earliest, now, timezone), _day(latest, now, timezone)) for now in _MOMENTS]
            if all(first is not None and last is not None and first > last for first, last in days):
                return f"the day must not be before `{earliest}` nor after `{latest}`"
        case _:
            pass
    return None


def _day(formula: str, now: datetime, timezone: str) -> date | None:
    """The day a formula gives at a moment; None if it depends on variables or gives none."""
    try:
        if names_in_formula(formula):
            return None
        value = evaluate(formula, {}, now=now, timezone=timezone)
        return date.fromisoformat(str(value)[:10])
    except (ExpressionError, ValueError):
        return None


def _region(node: InputNode, data: str) -> Iterator[Finding]:
    field = node.data.field
    if isinstance(field, PhoneField) and field.region not in phonenumbers.SUPPORTED_REGIONS:
        yield finding(
            "unknown-region",
            f"there is no country `{field.region}` with telephone numbers",
            "Write the two letters of a country, such as `ES`, `MX` or `US`.",
            path=f"{data}/field/region",
            node_id=node.id,
        )


def _schedules(subject: Subject) -> Iterator[Finding]:
    for index, schedule in enumerate(subject.flow.settings.schedules):
        for place, hours in enumerate(schedule.hours):
            if hours.start == hours.end:
                yield _impossible(
                    f"the schedule `{schedule.id}` opens and closes at {hours.start}",
                    "Write `00:00` to `24:00` for a whole day, or remove the entry.",
                    f"/settings/schedules/{index}/hours/{place}",
                    None,
                )


def _impossible(problem: str, fix: str, path: str, node_id: str | None) -> Finding:
    return finding("impossible-limits", problem, fix, path=path, node_id=node_id)
