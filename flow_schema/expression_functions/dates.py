"""Functions on dates and times.

A date is ISO 8601 text: `2026-11-22` for a day, `2026-11-22T10:00:00+01:00` for a moment. Moments are read
and given in the conversation's timezone, so that "tomorrow at nine" is nine on the visitor's clock also
across a change of summer time. An empty date gives an empty result. `now()` is the workflow's time, never
the machine's.

Timezone data comes from the `tzdata` package and is loaded with this module: no reading of files at run
time, and no difference between machines.
"""

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import tzdata

from flow_schema.expression_functions.numbers import language_of
from flow_schema.expression_functions.registry import FunctionGroup, integer, number, text
from flow_schema.expression_values import Context, FormulaFaultError, kind_of

GROUP: Final = FunctionGroup("Dates and times")

_MONTHS: Final = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "es": ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
           "noviembre", "diciembre"),
}  # fmt: skip
_WEEKDAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
}
_STYLES: Final = {
    "en": {
        "short": "MM/dd/yyyy", "medium": "MMM d, yyyy", "long": "MMMM d, yyyy", "full": "EEEE, MMMM d, yyyy",
        "time": "h:mm a", "datetime": "MMMM d, yyyy, h:mm a",
    },
    "es": {
        "short": "dd/MM/yyyy", "medium": "d MMM yyyy", "long": "d 'de' MMMM 'de' yyyy",
        "full": "EEEE, d 'de' MMMM 'de' yyyy", "time": "HH:mm", "datetime": "d 'de' MMMM 'de' yyyy, HH:mm",
    },
}  # fmt: skip
_ISO: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_PATTERN_PIECE: Final = re.compile(
    r"'[^']*'|yyyy|yy|MMMM|MMM|MM|M|dd|d|EEEE|EEE|HH|H|hh|h|mm|m|ss|s|a|[A-Za-z]+|[^A-Za-z']+|'"
)
_READABLE: Final = {
    "yyyy": ("year", "[0-9]{4}"), "yy": ("short_year", "[0-9]{2}"), "MM": ("month", "[0-9]{1,2}"),
    "M": ("month", "[0-9]{1,2}"), "dd": ("day", "[0-9]{1,2}"), "d": ("day", "[0-9]{1,2}"),
    "HH": ("hour", "[0-9]{1,2}"), "H": ("hour", "[0-9]{1,2}"), "mm": ("minute", "[0-9]{2}"),
    "m": ("minute", "[0-9]{1,2}"), "ss": ("second", "[0-9]{2}"), "s": ("second", "[0-9]{1,2}"),
}  # fmt: skip
_MAX_PATTERN_CHARS: Final = 100


def _load_zones() -> dict[str, bytes]:
    root = Path(tzdata.__file__).parent
    names = (root / "zones").read_text(encoding="ascii").split()
    return {name: (root / "zoneinfo" / name).read_bytes() for name in names}


_ZONE_DATA: Final = _load_zones()


@lru_cache(maxsize=128)
def zone(name: str) -> ZoneInfo:
    """The timezone of an IANA name such as `Europe/Madrid`. Raises FormulaFaultError for an unknown one."""
    if name not in _ZONE_DATA:
        raise FormulaFaultError(f"there is no timezone {name!r}; write one like 'Europe/Madrid' or 'UTC'")
    return ZoneInfo.from_file(BytesIO(_ZONE_DATA[name]), key=name)


def _read(context: Context, value: str) -> date | datetime:
    """A `date` for a day, an aware `datetime` in the conversation's timezone for a moment."""
    found = _ISO.fullmatch(value.strip())
    if found is None:
        raise FormulaFaultError(f"{value[:40]!r} is not a date like 2026-11-22 or 2026-11-22T10:00:00+01:00")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        if hour is None:
            return date(int(year), int(month), int(day))
        microsecond = int((fraction or "0").ljust(6, "0")[:6])
        wall = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), microsecond, UTC
        )
        if offset is None:
            return _on_the_clock(context, wall)
        return (wall - _offset(offset)).astimezone(zone(context.timezone))
    except (ValueError, OverflowError):
        raise FormulaFaultError(f"{value[:40]!r} names a day or time that does not exist") from None


def _offset(written: str) -> timedelta:
    if written == "Z":
        return timedelta()
    digits = written[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise ValueError(written)
    distance = timedelta(hours=hours, minutes=minutes)
    return -distance if written[0] == "-" else distance


def _on_the_clock(context: Context, wall: datetime) -> datetime:
    """The moment when the conversation's clock shows `wall`; one skipped in spring moves on."""
    local_zone = zone(context.timezone)
    return wall.replace(tzinfo=local_zone).astimezone(UTC).astimezone(local_zone)


def _moment(context: Context, value: date | datetime) -> datetime:
    """A day as its first moment in the conversation's timezone."""
    if isinstance(value, datetime):
        return value
    return _on_the_clock(context, datetime.combine(value, time(), UTC))


def _write(value: date | datetime) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds" if value.microsecond else "seconds")
    return value.isoformat()


def when(context: Context, value: Any) -> date | datetime | None:
    """Converts an argument: a date's text, or nothing."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return _read(context, value)
    raise FormulaFaultError(f"needs a date like 2026-11-22, not a value of the kind {kind_of(value)}")


def _shifted(value: date | datetime, days: int) -> date | datetime:
    try:
        return value + timedelta(days=days)
    except OverflowError:
        raise FormulaFaultError("the date would be before year 1 or after year 9999") from None


def _local(context: Context) -> datetime:
    return context.now.astimezone(zone(context.timezone))


@GROUP.define("now()", "This moment.", example="now()", result="2026-11-22T11:30:00+01:00")
def now(context: Context) -> str:
    return _local(context).isoformat(timespec="seconds")


@GROUP.define("today()", "This day.", example="today()", result="2026-11-22")
def today(context: Context) -> str:
    return _local(context).date().isoformat()


@GROUP.define(
    "date(year, month, day)",
    "The day of three numbers.",
    example="date(2026, 2, 28)",
    result="2026-02-28",
    takes=(integer,),
)
def make_date(year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except (ValueError, OverflowError):
        raise FormulaFaultError("there is no such day") from None


@GROUP.define(
    'parse_date(text, pattern = "yyyy-MM-dd")',
    "The date that a text says, read by a pattern as in format_date (numbers only); empty if the text says "
    "none.",
    example='parse_date("22/11/2026", "dd/MM/yyyy")',
    result="2026-11-22",
    takes=(text, text),
)
def parse_date(context: Context, value: str, pattern: str | None = None) -> str | None:
    if pattern is None:
        try:
            return _write(_read(context, value)) if value.strip() else None
        except FormulaFaultError:
            return None
    fields: dict[str, int] = {}
    names: list[str] = []
    expression = ""
    for piece in _pieces(pattern):
        if piece in _READABLE:
            name, digits = _READABLE[piece]
            names.append(name)
            expression += f"({digits})"
        elif piece[0].isalpha() and piece[0].isascii():
            raise FormulaFaultError(f"{piece!r} can't be read from a text; use yyyy, MM, dd, HH, mm and ss")
        else:
            expression += re.escape(piece.strip("'"))
    found = re.fullmatch(expression, value.strip()[:200])
    if found is None:
        return None
    fields = dict(zip(names, map(int, found.groups()), strict=True))
    year = fields.get("year", 2000 + fields["short_year"] if "short_year" in fields else context.now.year)
    try:
        day = date(year, fields.get("month", 1), fields.get("day", 1))
        if not fields.keys() & {"hour", "minute", "second"}:
            return day.isoformat()
        clock = time(fields.get("hour", 0), fields.get("minute", 0), fields.get("second", 0))
        return _write(_on_the_clock(context, datetime.combine(day, clock, UTC)))
    except (ValueError, OverflowError):
        return None


@GROUP.define(
    "add_days(date, days)",
    "So many days later (earlier if negative), at the same time on the clock.",
    example='add_days("2026-02-27", 2)',
    result="2026-03-01",
    takes=(when, integer),
)
def add_days(context: Context, value: date | datetime | None, days: int) -> str | None:
    if value is None:
        return None
    moved = _shifted(value, days)
    return _write(_on_the_clock(context, moved.replace(tzinfo=UTC)) if isinstance(moved, datetime) else moved)


@GROUP.define(
    "add_months(date, months)",
    "So many months later, on the last day where the month is shorter.",
    example='add_months("2026-01-31", 1)',
    result="2026-02-28",
    takes=(when, integer),
)
def add_months(context: Context, value: date | datetime | None, months: int) -> str | None:
    if value is None:
        return None
    year, month = divmod(value.year * 12 + value.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise FormulaFaultError("the date would be before year 1 or after year 9999")
    moved = value.replace(
        year=year, month=month + 1, day=min(value.day, calendar.monthrange(year, month + 1)[1])
    )
    return _write(_on_the_clock(context, moved.replace(tzinfo=UTC)) if isinstance(moved, datetime) else moved)


@GROUP.define(
    "add_hours(date, hours)",
    "So many hours later, as they pass; a day counts from its beginning.",
    example='add_hours("2026-03-29T01:30:00+01:00", 1)',
    result="2026-03-29T03:30:00+02:00",
    takes=(when, number),
)
def add_hours(context: Context, value: date | datetime | None, hours: int | float) -> str | None:
    return _after(context, value, hours * 60)


@GROUP.define(
    "add_minutes(date, minutes)",
    "So many minutes later, as they pass.",
    example='add_minutes("2026-11-22T23:50:00+01:00", 15)',
    result="2026-11-23T00:05:00+01:00",
    takes=(when, number),
)
def add_minutes(context: Context, value: date | datetime | None, minutes: int | float) -> str | None:
    return _after(context, value, minutes)


def _after(context: Context, value: date | datetime | None, minutes: int | float) -> str | None:
    if value is None:
        return None
    try:
        later = _moment(context, value).astimezone(UTC) + timedelta(minutes=minutes)
        return _write(later.astimezone(zone(context.timezone)))
    except OverflowError:
        raise FormulaFaultError("the date would be before year 1 or after year 9999") from None


@GROUP.define(
    "days_between(first, second)",
    "How many days the second lies after the first on the calendar.",
    example='days_between("2026-11-22", "2026-12-25")',
    result=33,
    takes=(when,),
)
def days_between(begin: date | datetime | None, end: date | datetime | None) -> int | None:
    if begin is None or end is None:
        return None
    return (_day(end) - _day(begin)).days


@GROUP.define(
    "hours_between(first, second)",
    "How many hours pass from the first to the second.",
    example='hours_between("2026-11-22T10:00:00Z", "2026-11-22T11:30:00Z")',
    result=1.5,
    takes=(when,),
)
def hours_between(
    context: Context, begin: date | datetime | None, end: date | datetime | None
) -> float | None:
    if begin is None or end is None:
        return None
    return (_moment(context, end).astimezone(UTC) - _moment(context, begin).astimezone(UTC)) / timedelta(
        hours=1
    )


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


@GROUP.define(
    "is_before(first, second)",
    "Whether the first date lies before the second; false if one is empty.",
    example='is_before("2026-11-22", today())',
    result=False,
    takes=(when,),
)
def is_before(context: Context, one: date | datetime | None, other: date | datetime | None) -> bool:
    return _precedes(context, one, other)


def _precedes(context: Context, one: date | datetime | None, other: date | datetime | None) -> bool:
    if one is None or other is None:
        return False
    return _moment(context, one).astimezone(UTC) < _moment(context, other).astimezone(UTC)


@GROUP.define(
    "is_after(first, second)",
    "Whether the first date lies after the second; false if one is empty.",
    example='is_after("2026-12-01", today())',
    result=True,
    takes=(when,),
)
def is_after(context: Context, one: date | datetime | None, other: date | datetime | None) -> bool:
    return _precedes(context, other, one)


@GROUP.define(
    "start_of_day(date)",
    "The first moment of the day.",
    example='start_of_day("2026-11-22T18:00:00+01:00")',
    result="2026-11-22T00:00:00+01:00",
    takes=(when,),
)
def start_of_day(context: Context, value: date | datetime | None) -> str | None:
    return None if value is None else _write(_moment(context, _day(value)))


@GROUP.define(
    "day_of(date)",
    "The day alone, without the time.",
    example='day_of("2026-11-22T23:30:00Z")',
    result="2026-11-23",
    takes=(when,),
)
def day_of(value: date | datetime | None) -> str | None:
    return None if value is None else _day(value).isoformat()


@GROUP.define("year(date)", "The year.", example='year("2026-11-22")', result=2026, takes=(when,))
def year_of(value: date | datetime | None) -> int | None:
    return None if value is None else value.year


@GROUP.define("month(date)", "The month, 1 to 12.", example='month("2026-11-22")', result=11, takes=(when,))
def month_of(value: date | datetime | None) -> int | None:
    return None if value is None else value.month


@GROUP.define(
    "day(date)", "The day of the month, 1 to 31.", example='day("2026-11-22")', result=22, takes=(when,)
)
def day_of_month(value: date | datetime | None) -> int | None:
    return None if value is None else value.day


@GROUP.define(
    "hour(date)",
    "The hour on the conversation's clock, 0 to 23.",
    example='hour("2026-11-22T10:00:00Z")',
    result=11,
    takes=(when,),
)
def hour_of(value: date | datetime | None) -> int | None:
    return None if value is None else value.hour if isinstance(value, datetime) else 0


@GROUP.define(
    "minute(date)", "The minute, 0 to 59.", example='minute("2026-11-22T10:05:00Z")', result=5, takes=(when,)
)
def minute_of(value: date | datetime | None) -> int | None:
    return None if value is None else value.minute if isinstance(value, datetime) else 0


@GROUP.define(
    "weekday(date)",
    "The day of the week: 1 is Monday, 7 is Sunday.",
    example='weekday("2026-11-22")',
    result=7,
    takes=(when,),
)
def weekday(value: date | datetime | None) -> int | None:
    return None if value is None else value.isoweekday()


@GROUP.define(
    'format_date(date, pattern = "long", language = "en")',
    "A date for reading: a style (short, medium, long, full, time, datetime) or a pattern of yyyy, yy, "
    "MMMM, MMM, MM, M, dd, d, EEEE, EEE, HH, H, hh, h, mm, ss and a; other letters between single quotes. "
    "Names are in Spanish or English, for other languages in English.",
    example='format_date("2026-11-22", "full", "es")',
    result="domingo, 22 de noviembre de 2026",
    takes=(when, text, text),
)
def format_date(
    context: Context, value: date | datetime | None, pattern: str = "long", language: str = "en"
) -> str:
    known = language_of(language)
    if value is None:
        return ""
    moment = value if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
    pieces = _pieces(_STYLES[known].get(pattern, pattern))
    return "".join(_piece_text(piece, moment, known) for piece in pieces)


def _pieces(pattern: str) -> list[str]:
    if len(pattern) > _MAX_PATTERN_CHARS:
        raise FormulaFaultError(f"the pattern is longer than {_MAX_PATTERN_CHARS} characters")
    return _PATTERN_PIECE.findall(pattern)


def _piece_text(piece: str, moment: datetime, language: str) -> str:
    match piece:
        case "yyyy":
            return f"{moment.year:04d}"
        case "yy":
            return f"{moment.year % 100:02d}"
        case "MMMM":
            return _MONTHS[language][moment.month - 1]
        case "MMM":
            return _MONTHS[language][moment.month - 1][:3]
        case "EEEE":
            return _WEEKDAYS[language][moment.weekday()]
        case "EEE":
            return _WEEKDAYS[language][moment.weekday()][:3]
        case "MM" | "M":
            return str(moment.month).rjust(len(piece), "0")
        case "dd" | "d":
            return str(moment.day).rjust(len(piece), "0")
        case "HH" | "H":
            return str(moment.hour).rjust(len(piece), "0")
        case "hh" | "h":
            return str((moment.hour - 1) % 12 + 1).rjust(len(piece), "0")
        case "mm" | "m":
            return str(moment.minute).rjust(len(piece), "0")
        case "ss" | "s":
            return str(moment.second).rjust(len(piece), "0")
        case "a":
            return "AM" if moment.hour < 12 else "PM"
        case _ if piece[0].isascii() and piece[0].isalpha():
            raise FormulaFaultError(f"the pattern does not know {piece!r}; put words between single quotes")
        case _:
            return "'" if piece == "''" else piece.strip("'")
