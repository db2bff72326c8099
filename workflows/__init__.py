"""Durable workflows: deterministic, and knowing nothing but the flow language."""

from __future__ import annotations

from workflows.conversation import ConversationWorkflow

WORKFLOWS: list[type] = [ConversationWorkflow]
"""What a worker runs."""

__all__ = ["WORKFLOWS", "ConversationWorkflow"]
