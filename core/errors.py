"""The one tree of exceptions, and how each becomes a problem document (RFC 9457).

::

    VersaError                        500 internal
    ├── ConfigurationError            500 configuration          a setting is missing or contradicts another
    ├── RequestError                  400 bad-request            the caller can mend it
    │   ├── AuthenticationError       401 unauthenticated
    │   ├── PermissionDeniedError     403 forbidden
    │   ├── NotFoundError             404 not-found
    │   ├── MethodNotAllowedError     405 method-not-allowed     carries the `Allow` header
    │   ├── ConflictError             409 conflict
    │   │   └── MessageReusedError    409 message-id-reused      same message id, another body
    │   ├── GoneError                 410 gone                   closed, expired, deleted
    │   ├── PreconditionFailedError   412 precondition-failed    If-Match names an older version
    │   ├── TooLargeError             413 too-large
    │   ├── UnsupportedMediaError     415 unsupported-media
    │   ├── RangeNotSatisfiableError  416 range-not-satisfiable  a part that the file doesn't have
    │   ├── UnprocessableError        422 invalid                understood, and wrong; carries `errors`
    │   └── RateLimitedError          429 rate-limited           carries `retry_after`, seconds
    ├── UpstreamError                 502 upstream-failed        a server that we call answered badly
    │   └── UpstreamTimeoutError      504 upstream-timeout
    ├── UnavailableError              503 unavailable            a part of ours is down or starting
    └── CryptographyError             500 cryptography
        ├── SecretUnreadableError     500 secret-unreadable      encrypted under a key that is gone
        └── SignatureError            401 bad-signature

A package that needs a kind of its own derives it from one of these, so that every error that leaves the
API has a status, a stable `type` and a title that doesn't change from case to case.
"""

from __future__ import annotations

from typing import Any, ClassVar

PROBLEM_TYPE_PREFIX = "urn:versaai:problem:"
"""Start of every problem's `type`; the slug follows. An identifier, documented in docs/errors.md."""


class VersaError(Exception):
    """Root of the tree.

    `detail` is the sentence for the caller about this one case; it must hold no secret. `extra` becomes
    extension members of the problem document and has to be JSON.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra

    @property
    def type(self) -> str:
        """The stable URI that names the kind of problem."""
        return PROBLEM_TYPE_PREFIX + self.slug

    def problem(self, instance: str | None = None) -> dict[str, Any]:
        """Render as an RFC 9457 problem document; `instance` is the URI of the request that failed."""
        document: dict[str, Any] = {
            **self.extra,
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if instance is not None:
            document["instance"] = instance
        return document

    def headers(self) -> dict[str, str]:
        """HTTP headers that belong to the status."""
        return {}


class ConfigurationError(VersaError):
    """A setting is missing or contradicts another; the detail says which and how to mend it."""

    slug = "configuration"
    title = "The platform is not configured for this"


class RequestError(VersaError):
    """The request can't be carried out as it stands."""

    status = 400
    slug = "bad-request"
    title = "Bad request"


class AuthenticationError(RequestError):
    """No credentials, or none that are valid."""

    status = 401
    slug = "unauthenticated"
    title = "Authentication required"

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class PermissionDeniedError(RequestError):
    """The caller is known and may not do this."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"


class NotFoundError(RequestError):
    """Nothing here under that name, for this caller."""

    status = 404
    slug = "not-found"
    title = "Not found"


class MethodNotAllowedError(RequestError):
    """The address exists and doesn't take this method; the `Allow` header names those it takes."""

    status = 405
    slug = "method-not-allowed"
    title = "Method not allowed"

    def __init__(self, detail: str = "", *, allow: str = "", **extra: Any) -> None:
        super().__init__(detail, **extra)
        self._allow = allow

    def headers(self) -> dict[str, str]:
        return {"Allow": self._allow}


class ConflictError(RequestError):
    """The request contradicts the present state."""

    status = 409
    slug = "conflict"
    title = "Conflict with the present state"


class MessageReusedError(ConflictError):
    """A client message id came again with another body."""

    slug = "message-id-reused"
    title = "This message id was already used for another message"


class GoneError(RequestError):
    """It was here and will not come back."""

    status = 410
    slug = "gone"
    title = "No longer available"


class PreconditionFailedError(RequestError):
    """Somebody changed the resource since the caller read it."""

    status = 412
    slug = "precondition-failed"
    title = "The resource has changed"


class TooLargeError(RequestError):
    """The body, file or text is over a limit; the detail names the limit."""

    status = 413
    slug = "too-large"
    title = "Too large"


class UnsupportedMediaError(RequestError):
    """The content is of a type that isn't accepted here."""

    status = 415
    slug = "unsupported-media"
    title = "Unsupported media type"


class RangeNotSatisfiableError(RequestError):
    """The `Range` asked for lies beyond the end of the file."""

    status = 416
    slug = "range-not-satisfiable"
    title = "No such part of the file"

    def __init__(self, detail: str = "", *, size: int = 0, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self._size = size

    def headers(self) -> dict[str, str]:
        return {"Content-Range": f"bytes */{self._size}"}


class UnprocessableError(RequestError):
    """Understood, and wrong. `errors` (in `extra`) lists findings as objects with at least `detail`."""

    status = 422
    slug = "invalid"
    title = "Invalid content"


class RateLimitedError(RequestError):
    """Too many requests; `retry_after` says in how many seconds to try again."""

    status = 429
    slug = "rate-limited"
    title = "Too many requests"

    def __init__(self, detail: str = "", *, retry_after: int = 1, **extra: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **extra)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class UpstreamError(VersaError):
    """A server that we call answered with an error or with something unreadable."""

    status = 502
    slug = "upstream-failed"
    title = "An external service failed"


class UpstreamTimeoutError(UpstreamError):
    """A server that we call did not answer in time."""

    status = 504
    slug = "upstream-timeout"
    title = "An external service did not answer in time"


class UnavailableError(VersaError):
    """A part of the platform is down or still starting; the same request may succeed in a moment."""

    status = 503
    slug = "unavailable"
    title = "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after: int = 1, **extra: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **extra)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class CryptographyError(VersaError):
    """Encryption, decryption or signing failed."""

    slug = "cryptography"
    title = "Cryptographic failure"


class SecretUnreadableError(CryptographyError):
    """A stored secret was encrypted under a key that is not configured any more, or was altered."""

    slug = "secret-unreadable"
    title = "A stored secret can't be read"


class SignatureError(CryptographyError):
    """A signature is missing, malformed or made with another key."""

    status = 401
    slug = "bad-signature"
    title = "Bad signature"


def render_problems_page() -> str:
    """Return docs/errors.md: one row a kind of problem, from the classes themselves."""
    lines = [
        "# Problems",
        "",
        "Every error of the API is a problem document (RFC 9457, `application/problem+json`) with members",
        "`type`, `title`, `status` and `detail`; some kinds add more. `type` is the prefix",
        f"`{PROBLEM_TYPE_PREFIX}` and one of these names, which never change. Rendered from `core/errors.py`",
        "by `python -m core.errors`; a test compares the two.",
        "",
        "| type | status | title | when |",
        "|---|---|---|---|",
    ]

    def add(kind: type[VersaError]) -> None:
        when = (
            (kind.__doc__ or "").split("\n\n")[0].strip() if kind is not VersaError else "A defect of ours."
        )
        lines.append(f"| `{kind.slug}` | {kind.status} | {kind.title} | {when} |")
        for child in kind.__subclasses__():
            if child.__module__ == __name__:
                add(child)

    add(VersaError)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    from pathlib import Path

    Path("docs/errors.md").write_text(render_problems_page(), encoding="utf-8")
