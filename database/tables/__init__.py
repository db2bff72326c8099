"""The tables, one module an area. docs/data-model.md explains them."""

from __future__ import annotations

from database.columns import METADATA, Row
from database.tables.access import (
    ApiKey,
    Invitation,
    SsoAttempt,
    SsoIdentity,
    SsoProvider,
    UsageCounter,
    UsageDelta,
)
from database.tables.accounts import Organization, OrganizationMember, User
from database.tables.chatbots import Chatbot, FlowVersion, ResponseTemplate, Secret
from database.tables.conversations import ConversationRow, MessageRow, NodeVisit, Reply, StreamTextRow
from database.tables.credentials import (
    AccountEmail,
    AccountToken,
    BackupCode,
    RefreshToken,
    SignInFailure,
    UserSession,
)
from database.tables.outside import Callback, SentEmail, StoredFile

__all__ = [
    "METADATA",
    "AccountEmail",
    "AccountToken",
    "ApiKey",
    "BackupCode",
    "Callback",
    "Chatbot",
    "ConversationRow",
    "FlowVersion",
    "Invitation",
    "MessageRow",
    "NodeVisit",
    "Organization",
    "OrganizationMember",
    "RefreshToken",
    "Reply",
    "ResponseTemplate",
    "Row",
    "Secret",
    "SentEmail",
    "SignInFailure",
    "SsoAttempt",
    "SsoIdentity",
    "SsoProvider",
    "StoredFile",
    "StreamTextRow",
    "UsageCounter",
    "UsageDelta",
    "User",
    "UserSession",
]
