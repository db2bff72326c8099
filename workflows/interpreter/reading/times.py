"""Reads times of day as people write them in Spanish and English."""

from __future__ import annotations

import re

from workflows.interpreter.reading.letters import normal
from workflows.interpreter.reading.numbers import with_digits

_WORDS = {
    "mediodia": 12,
    "medio dia": 12,
    "noon": 12,
    "midday": 12,
    "medianoche": 0,
    "media noche": 0,
    "midnight": 0,
}
_BEFORE = re.compile(r"^(?:(?:a|al|sobre|hacia|para|at|around|about|by) )?(?:el |las? |the )?(?=\S)")
_PARTS = {
    "am": "morning", "a.m": "morning", "a m": "morning", "de la manana": "morning",
    "de la madrugada": "morning",
    "por la manana": "morning", "in the morning": "morning",
    "pm": "afternoon", "p.m": "afternoon", "p m": "afternoon", "de la tarde": "afternoon",
    "por la tarde": "afternoon", "del mediodia": "afternoon", "in the afternoon": "afternoon",
    "in the evening": "afternoon",
    "de la noche": "night", "por la noche": "night", "at night": "night",
}  # fmt: skip
_PART = "|".join(re.escape(part) for part in sorted(_PARTS, key=len, reverse=True))
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2})(?::\d{2})?)?"
    r"(?P<named> ?(?:horas|hrs?|h|o ?clock|en punto))?"
    r"(?: (?P<sign>y|con|menos) (?P<extra>\d{1,2}|media|cuarto|pico))?"
    rf"(?: ?(?P<part>{_PART}))?"
)
_ENGLISH = re.compile(
    r"(?P<extra>\d{1,2}|a quarter|quarter|half)(?: minutes?)? (?P<sign>past|to|after|before) "
    rf"(?P<hour>\d{{1,2}})(?: ?(?P<part>{_PART}))?"
)
_MINUTES = {"media": 30, "cuarto": 15, "half": 30, "quarter": 15, "a quarter": 15}


def parse_time(text: str, earliest: str | None = None, latest: str | None = None) -> str | None:
    """`HH:MM` of a time such as `16:30`, `4 pm`, `las 5 y media de la tarde`, `half past five`, `mediodía`.

    A bare number is none. An hour of the twelve that does not say its half of the day is the one within the
    limits, where only one is.
    """
    whole = normal(text).replace("o'clock", "oclock")
    cleaned = " ".join(with_digits(_BEFORE.sub("", whole).split()))
    if cleaned in _WORDS:
        return f"{_WORDS[cleaned]:02d}:00"
    found = _ENGLISH.fullmatch(cleaned) or _CLOCK.fullmatch(cleaned)
    if found is None:
        return None
    said = found.groupdict()
    told = any(said.get(key) for key in ("minute", "named", "sign", "part"))
    if not told and not re.match(r"(?:a |sobre |hacia |para )?las? |at |around |about |by ", whole):
        return None
    hour, minute = int(said["hour"]), int(said.get("minute") or 0)
    if said.get("part"):
        if not 1 <= hour <= 12 and said["part"].replace(".", "").replace(" ", "") in ("am", "pm"):
            return None
        hour = _in_part(hour, said["part"])
    if extra := said.get("extra"):
        if extra == "pico":
            return None
        minutes = int(_MINUTES.get(extra, extra))
        before = said["sign"] in ("menos", "to", "before")
        hour, minute = divmod((hour * 60 + minute + (-minutes if before else minutes)) % (24 * 60), 60)
    if hour > 23 or minute > 59:
        return None
    value = f"{hour:02d}:{minute:02d}"
    if said.get("part") or (len(said["hour"]) > 1 and said["hour"].startswith("0")) or not 1 <= hour <= 12:
        return value
    other = f"{(hour + 12) % 24:02d}:{minute:02d}"
    within = [time for time in (value, other) if (earliest or "") <= time <= (latest or "24")]
    return within[0] if within and value not in within else value


def _in_part(hour: int, part: str) -> int:
    """The hour of the 24 for one of the twelve. At twelve the day's halves begin, save that Spanish calls
    noon `las 12 de la mañana`."""
    if not 1 <= hour <= 12:
        return hour
    match _PARTS[part]:
        case "morning":
            return hour % 12 if part != "de la manana" else hour
        case "afternoon":
            return hour % 12 + 12
        case _:
            return hour + 12 if 6 <= hour < 12 else hour % 12
