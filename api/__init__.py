"""The HTTP facade: visitors' chats, the team's actions, bots and flow versions, files and callbacks.

One folder a resource, each with `routes` (HTTP), `schemas` (what goes in and out) and `service` (what is
done). Nothing here knows Temporal beyond `temporal.gateway`, and nothing but `database/` writes SQL.
"""
