"""Everything that touches a Temporal client or server: client, worker, gateway, converter, dev server."""
