"""Conversations that go on, on one server or several."""
