"""Organizations: members, invitations, API keys, single sign-on, usage."""
