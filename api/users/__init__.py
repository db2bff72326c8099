"""A person's own account: profile, avatar, deletion."""
