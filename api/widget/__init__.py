"""What visitors use: a bot's public settings, its chat, transcripts, events and uploads."""
