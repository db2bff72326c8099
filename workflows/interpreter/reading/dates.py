"""Reads days and pairs of days as people write them in Spanish and English.

A day is read in two steps: what is said of it (`Day`), and then which day that is. What was left out is the
coming one, or the latest one that the field allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta

from workflows.interpreter.reading.letters import folded, normal
from workflows.interpreter.reading.numbers import with_digits

_MONTHS = {
    name: number
    for names in (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr may jun jul ago sep oct nov dic",
        "january february march april may june july august september october november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
    )
    for number, name in enumerate(names.split(), start=1)
} | {"setiembre": 9, "sept": 9}
_WEEKDAYS = {
    name: number
    for names in (
        "lunes martes miercoles jueves viernes sabado domingo",
        "monday tuesday wednesday thursday friday saturday sunday",
    )
    for number, name in enumerate(names.split(), start=1)
}
_FROM_TODAY = {
    "hoy": 0, "hoy mismo": 0, "today": 0, "manana": 1, "manana mismo": 1, "tomorrow": 1, "pasado manana": 2,
    "pasado": 2, "day after tomorrow": 2, "ayer": -1, "yesterday": -1, "anteayer": -2, "antes de ayer": -2,
    "antier": -2, "day before yesterday": -2,
}  # fmt: skip
_SPANS = {
    "dia": "day", "dias": "day", "day": "day", "days": "day", "semana": "week", "semanas": "week",
    "week": "week", "weeks": "week", "mes": "month", "meses": "month", "month": "month", "months": "month",
    "ano": "year", "anos": "year", "year": "year", "years": "year",
}  # fmt: skip
_COUNT = r"(\d{1,4}|un|una|a|an) (" + "|".join(sorted(_SPANS, key=len, reverse=True)) + ")"
_LATER = re.compile(rf"(?:dentro de|en|de aqui a|in) {_COUNT}|{_COUNT} from (?:now|today)")
_EARLIER = re.compile(rf"hace {_COUNT}|{_COUNT} ago")
_WEEKDAY = "|".join(_WEEKDAYS)
_ONE_WEEKDAY = re.compile(
    rf"(?:este|esta|proximo|this|next|coming)? ?(pasado|last)? ?({_WEEKDAY}) ?"
    r"(que viene|proximo|siguiente|pasado)?"
)
_SPENT = re.compile(r"(?:del|de)? ?(?:pasado|last)")
_PART_OF_DAY = re.compile(
    r" (?:(?:por|en|a) la (?:manana|tarde|noche)|al mediodia|in the (?:morning|afternoon|evening)|at night)$"
)
_ARTICLE = re.compile(r"^(?:(?:seria|sera|es|para|on|it is|its|de) )*(?:(?:el|la|the) )?(?:dia )?")
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:t.*)?")
_NUMERIC = re.compile(r"(\d{1,2})([-/. ])(\d{1,2})(?:\2(\d{4}|\d{2}))?")
_DAY_THEN_MONTH = re.compile(
    r"(\d{1,2})(?:st|nd|rd|th|o|er)?\.? (?:de |of )?([a-z]+)\.?,?(?: (?:de |del |del ano )?(\d{4}|\d{2}))?"
)
_MONTH_THEN_DAY = re.compile(r"([a-z]+)\.? (?:the )?(\d{1,2})(?:st|nd|rd|th)?(?:,? (\d{4}))?")
_DAY_ALONE = re.compile(r"(\d{1,2})(?:st|nd|rd|th|o)?(?:,? (\d{4}))?")


@dataclass(frozen=True)
class Day:
    """What is said of a day; null is not said."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    short: bool = False
    """Of a year: written with two digits."""
    weekday: int | None = None
    """1 Monday to 7 Sunday."""
    past: bool = False
    """Of a weekday: the last one."""
    exact: date | None = None


def parse_date(text: str, language: str, today: date, latest: date | None = None) -> date | None:
    """The day a person wrote: ISO, `24/12/2026`, `24-12-26`, `12/24/2026` in American English, with the
    month's name in Spanish or English, without its year, a weekday, or counted from today.

    Without a year the coming one is meant; if that is after `latest`, the last one. A year of two digits is
    one of this century, unless that is after `latest`.
    """
    said = read_day(text, language, today)
    day = None if said is None else _resolved(said, today, today, latest)
    if day is not None and latest is not None and day > latest and said is not None and said.short:
        return _moved(day, -100, "year")
    return day


def read_day(text: str, language: str, today: date, *, alone: bool = False) -> Day | None:
    """What a text says of a day. `alone`: a day of a month may stand by itself, as in a pair of days."""
    whole = normal(text)
    if found := _ISO.fullmatch(whole):
        return Day(int(found[1]), int(found[2]), int(found[3]))
    named = re.match(r"(?:el|la|the) (?:dia )?\d", whole) is not None
    cleaned = _PART_OF_DAY.sub("", _ARTICLE.sub("", whole)).strip()
    if cleaned in _FROM_TODAY:
        return Day(exact=_moved(today, _FROM_TODAY[cleaned], "day"))
    if found := _NUMERIC.fullmatch(cleaned):
        return _numeric(found, language)
    words = " ".join(with_digits(cleaned.replace("primero de ", "1 de ").split()))
    for pattern, sign in ((_LATER, 1), (_EARLIER, -1)):
        if found := pattern.fullmatch(words):
            count, span = (group for group in found.groups() if group is not None)
            return Day(exact=_moved(today, sign * (int(count) if count.isdigit() else 1), _SPANS[span]))
    if found := _ONE_WEEKDAY.fullmatch(words):
        past = "pasado" in (found[1], found[3]) or found[1] == "last"
        return Day(weekday=_WEEKDAYS[found[2]], past=past)
    weekday = None
    if found := re.match(rf"({_WEEKDAY}),? (?:(?:el|the) )?(?:dia )?(?=.*\d)", words):
        weekday, words = _WEEKDAYS[found[1]], words[found.end() :]
    said = _named(words, alone=alone or named or weekday is not None)
    return None if said is None else replace(said, weekday=weekday)


def _numeric(found: re.Match[str], language: str) -> Day | None:
    """Day first, or month first in American English. `24.12` is a number: dots and spaces need a year."""
    day, month, year = int(found[1]), int(found[3]), found[4]
    if year is None and found[2] in ". ":
        return None
    american = language.lower() == "en-us" or (language.split("-")[0].lower() == "en" and month > 12 >= day)
    if american:
        day, month = month, day
    return Day(_full_year(year), month, day, short=_is_short(year))


def _named(words: str, *, alone: bool) -> Day | None:
    """A day with its month's name, in either order; or by itself."""
    if (found := _DAY_THEN_MONTH.fullmatch(words)) and found[2] in _MONTHS:
        return Day(_full_year(found[3]), _MONTHS[found[2]], int(found[1]), short=_is_short(found[3]))
    if (found := _MONTH_THEN_DAY.fullmatch(words)) and found[1] in _MONTHS:
        return Day(_full_year(found[3]), _MONTHS[found[1]], int(found[2]))
    if alone and (found := _DAY_ALONE.fullmatch(words)):
        return Day(year=_full_year(found[2]), day=int(found[1]))
    return None


def _full_year(written: str | None) -> int | None:
    if written is None:
        return None
    return int(written) + (2000 if len(written) == 2 else 0)


def _is_short(written: str | None) -> bool:
    return written is not None and len(written) == 2


def _moved(day: date, count: int, span: str) -> date | None:
    """So many days, weeks, months or years later; the last day of a shorter month."""
    try:
        if span in ("day", "week"):
            return day + timedelta(days=count * (7 if span == "week" else 1))
        months = day.year * 12 + day.month - 1 + count * (12 if span == "year" else 1)
        return _day_of_month(months // 12, months % 12 + 1, day.day)
    except (ValueError, OverflowError):
        return None


def _day_of_month(year: int, month: int, day: int) -> date:
    while day > 28:
        try:
            return date(year, month, day)
        except ValueError:
            day -= 1
    return date(year, month, day)


def _resolved(said: Day, today: date, start: date, latest: date | None) -> date | None:
    """The day that is meant: the first from `start` on, unless that is after `latest`."""
    if said.exact is not None or (said.weekday is None and said.day is None):
        return said.exact
    if said.day is None:
        return _weekday(said, today, start, latest)
    coming = [day for day in _fitting(said, start) if day >= start]
    gone = [day for day in _fitting(said, start) if day < start and (latest is None or day <= latest)]
    if said.year is not None:
        exact = [*gone, *coming] or _fitting(said, start)
        return exact[0] if exact else None
    if coming and (latest is None or coming[0] <= latest or not gone):
        return coming[0]
    return gone[-1] if gone and latest is not None else None


def _fitting(said: Day, start: date) -> list[date]:
    """The days around `start` that are as said, in order."""
    years = [said.year] if said.year is not None else range(start.year - 8, start.year + 9)
    months = [said.month] if said.month is not None else range(1, 13)
    found = []
    for year in years:
        for month in months:
            try:
                day = date(year, month, said.day or 0)
            except ValueError:
                continue
            if said.weekday in (None, day.isoweekday()):
                found.append(day)
    return found


def _weekday(said: Day, today: date, start: date, latest: date | None) -> date | None:
    assert said.weekday is not None
    ahead = (said.weekday - start.isoweekday()) % 7
    if start == today and ahead == 0:
        ahead = 7  # on a Monday, Monday is the next one: else people say today
    coming = start + timedelta(days=ahead)
    if said.past or (latest is not None and coming > latest):
        back = (today.isoweekday() - said.weekday) % 7 or 7
        return today - timedelta(days=back)
    return coming


_BETWEEN = re.compile(
    r"\s+(?:a|al|to|until|till|through|hasta|y|e|and|-|–|—)\s+(?:(?:el|la|the)\s+)?(?:dia\s+)?|\s*[–—]\s*|\s*\.\.+\s*|"
    r"(?<=\d)\s*-\s*(?=\d)|\s*,\s*"
)
_FROM = re.compile(r"^(?:(?:del|de|desde|entre|from|between)\s+)?(?:(?:el|la|the)\s+)?(?:dia\s+)?")
_TWO_DAYS = re.compile(r"(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{2,4})[\s,-]+(\d[\d/.-]*\d)")


def parse_range(text: str, language: str, today: date) -> tuple[date, date] | None:
    """Two days: `24/12/2026 - 26/12/2026`, `del 24 al 26 de diciembre`, `between Monday and Friday`.

    What one of them leaves out, the other says. The second comes after the first where its year is left out.
    """
    cleaned = _FROM.sub("", folded(text).strip(" .!?¡¿"))
    if pair := _TWO_DAYS.fullmatch(cleaned):
        splits = [(pair[1], pair[2])]
    else:
        splits = [(cleaned[: cut.start()], cleaned[cut.end() :]) for cut in _BETWEEN.finditer(cleaned)]
    for first, last in splits:
        start = read_day(first, language, today, alone=True)
        end = read_day(last, language, today, alone=True)
        if start is not None and end is not None and (days := _pair(start, end, today)):
            return days
    return None


def _pair(start: Day, end: Day, today: date) -> tuple[date, date] | None:
    if start.day is not None and end.day is not None:
        if start.month is None and end.month is None:
            return None
        shared = start.month is None or end.month is None
        start = replace(start, month=start.month or end.month)
        end = replace(end, month=end.month or start.month)
        if shared or (start.year is None and end.year is None):
            start, end = (replace(day, year=start.year or end.year) for day in (start, end))
        elif start.year is None and end.year is not None:
            later = (start.month, start.day) > (end.month, end.day)
            start = replace(start, year=end.year - later)
    first = _resolved(start, today, today, None)
    if first is None:
        return None
    last = _resolved(end, today, first, None)
    return None if last is None else (first, last)


def show_date(iso: str, language: str) -> str:
    """A day for reading: `24/12/2026`, in English `2026-12-24`."""
    if language.split("-")[0] == "en" or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", iso):
        return iso
    return f"{iso[8:10]}/{iso[5:7]}/{iso[:4]}"
