"""The tables, one module an area. docs/data-model.md explains them."""

from __future__ import annotations

from database.columns import METADATA, Row
from database.tables.accounts import Organization, OrganizationMember, User
from database.tables.chatbots import Chatbot, FlowVersion, ResponseTemplate, Secret
from database.tables.conversations import ConversationRow, MessageRow, NodeVisit, Reply, StreamTextRow
from database.tables.outside import Callback, SentEmail, StoredFile

__all__ = [
    "METADATA",
    "Callback",
    "Chatbot",
    "ConversationRow",
    "FlowVersion",
    "MessageRow",
    "NodeVisit",
    "Organization",
    "OrganizationMember",
    "Reply",
    "ResponseTemplate",
    "Row",
    "Secret",
    "SentEmail",
    "StoredFile",
    "StreamTextRow",
    "User",
]
