"""What the team reads of conversations and does to them."""
