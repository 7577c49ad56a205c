"""Test doubles and fixtures of the end-to-end tests: a scripted upstream, a strict client, the daemon under test."""
