"""The loop: select, draft, verify, rewrite, end. Yields everything that happens as events.

It owns the order of things and nothing else: texts come from ``prompter``, decisions from
``method``, tokens from the engines. Drafting is continuous: a path whose step was accepted
joins the draft's running batch again while others still write or are rewritten.
"""
