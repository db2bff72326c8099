"""Accounts: registering, signing in and out, second factors, single sign-on."""
