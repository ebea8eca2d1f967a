"""Labelled steps: collecting them, scoring verifiers on them, fitting calibrations."""
