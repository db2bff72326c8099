"""What every part of VersaAI shares: settings, errors, logging, ids, cryptography."""
