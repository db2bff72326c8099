"""Whether a schedule is open."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from flow_schema.expression_functions.dates import zone
from flow_schema.flow import OpeningHours, Schedule


def is_open(schedule: Schedule, now: datetime, default_timezone: str) -> bool:
    """Whether `schedule` is open at `now` (aware).

    Hours are wall-clock times of the schedule's timezone, so that a change of the clocks moves them with the
    wall clock. Hours that end before they start belong to the day on which they start.
    """
    local = now.astimezone(zone(schedule.timezone or default_timezone))
    minute = local.hour * 60 + local.minute
    today, yesterday = local.date(), local.date() - timedelta(days=1)
    return any(
        _open_on(hours, schedule, today, minute) or _open_on(hours, schedule, yesterday, minute + 24 * 60)
        for hours in schedule.hours
    )


def _open_on(hours: OpeningHours, schedule: Schedule, day: date, minute: int) -> bool:
    if day.isoweekday() not in hours.days or day.isoformat() in schedule.closed_dates:
        return False
    start, end = _minutes(hours.start), _minutes(hours.end)
    if end <= start:
        end += 24 * 60
    return start <= minute < end


def _minutes(time_of_day: str) -> int:
    hours, minutes = time_of_day.split(":")
    return int(hours) * 60 + int(minutes)
