"""Durable workflows: deterministic, and knowing nothing but the flow language."""

from __future__ import annotations

from workflows.bench_echo import BenchEchoWorkflow
from workflows.conversation import ConversationWorkflow

WORKFLOWS: list[type] = [ConversationWorkflow, BenchEchoWorkflow]
"""What a worker runs."""

__all__ = ["WORKFLOWS", "BenchEchoWorkflow", "ConversationWorkflow"]
