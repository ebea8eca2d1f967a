"""Saying whether two answers are equal."""
