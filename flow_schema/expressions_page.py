"""The page on formulas for flow designers, made from the functions' own declarations.

`python -m flow_schema.expressions_page > docs/expressions.md` writes it; a test compares the two and
evaluates every example, so that the page can't say what is not so.
"""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flow_schema.expressions import FUNCTIONS

EXAMPLE_NAMES: Final[Mapping[str, Any]] = {
    "nickname": None,
    "order": {"lines": [{"name": "tea", "price": 4.5}, {"name": "cup", "price": 8}]},
}
EXAMPLE_NOW: Final = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
EXAMPLE_TIMEZONE: Final = "Europe/Madrid"

_INTRODUCTION: Final = r"""# Formulas and texts

Formulas compute with a conversation's variables: in conditions, in "set variable", in the bodies of API
calls. The same formulas stand between double braces in any text:
`Hello {{ name }}, your total is {{ total * 1.21 }}`.

## Values

| kind | written as |
|---|---|
| text | `"hello"` or `'hello'` |
| number | `3`, `2.5` |
| yes/no | `true`, `false` |
| empty | `null` |
| list | `["red", "green"]` |
| object | `{"name": "Ana", "age": 30}` |
| date | text: `"2026-11-22"` a day, `"2026-11-22T10:00:00+01:00"` a moment |

In a text, a backslash means itself, so that patterns can be written plainly: `"\d+"`. The exceptions are
`\\`, `\"`, `\'`, `\n`, `\r`, `\t` and `\u00e1` (a character by its code).

## Reading variables

- `name` reads a variable, `order.status` or `order["status"]` a key of an object, `lines[0]` an entry of
  a list, `lines[-1]` its last one, `code[0:3]` a part of a text or list. A dot reads keys and nothing
  else: there are no methods (`upper(name)`, not `name.upper()`).
- What is missing is empty: an unknown variable, a key that an object does not have, a position past the
  end, and whatever is read from an empty value.

## Operators

| | |
|---|---|
| `+ - * / // % **` | arithmetic; `+` also joins two texts or two lists, `*` repeats a text or list |
| `== != < <= > >=` | comparison; chains such as `18 <= age < 65` |
| `and or not` | logic |
| `in`, `not in` | a part of a text, an entry of a list, a key of an object |
| `a if condition else b` | a choice |

- Kinds are not mixed by guessing: `"5" == 5` is false and `"5" + 1` is an error; `number("5")` and
  `text(5)` convert. `1 == true` is false too; only arithmetic and order take yes as 1 and no as 0.
- An empty value is neither less nor greater than anything: `age > 18` is false while `age` is empty.
  `age == null` (or `is_empty(age)`) asks for it. Arithmetic on an empty value is an error;
  `default(age, 0)` avoids it.
- As a condition, empty values, `false`, `0`, empty texts, lists and objects count as no, all else as
  yes.

## In texts

- An empty value shows nothing; numbers show without a trailing `.0`; lists are joined by ", "; objects
  show as JSON.
- `\{{` shows two braces.
- A field that is nothing but one `{{ formula }}` keeps the value's kind where the field can hold any
  value: a number stays a number, a list a list.

## Limits

A formula has at most 2,000 characters, a number at most 30 digits before its point, a result at most
100,000 characters and entries. A text in which formulas are filled may become 20,000 characters long: a
longer one fails, so show a part of a long value (`report[0:5000]`). A formula that would do too much work
is refused rather than slow. Patterns follow RE2's syntax, which has no back-references and no look-
around, and takes time in proportion to the text alone. `now()` is the time of the conversation's step;
the same step computed again gives the same result.

# Functions

Text functions read an empty value as empty text, list functions as an empty list; date functions give an
empty value for an empty date. Values with `=` may be left out. The examples hold at 2026-11-22 11:30 in
Europe/Madrid, with these variables:

```json
EXAMPLE_NAMES
```
"""


def page() -> str:
    """The whole page as Markdown."""
    names = json.dumps(dict(EXAMPLE_NAMES), indent=2, ensure_ascii=False)
    out = [_INTRODUCTION.replace("EXAMPLE_NAMES", names).rstrip()]
    group = None
    for document in FUNCTIONS.values():
        if document.group != group:
            group = document.group
            out.append(f"\n## {group}\n\n| function | what it gives | example |\n|---|---|---|")
        result = json.dumps(document.result, ensure_ascii=False)
        example = _cell(f"`{document.example}` → `{result}`")
        out.append(f"| `{_cell(document.signature)}` | {_cell(document.description)} | {example} |")
    return "\n".join(out) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
