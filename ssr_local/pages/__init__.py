"""Runs, checks and hints as documents: Markdown, and HTML that loads nothing.

``html_page.page_of`` and ``markdown.markdown_of`` make one of an entry of the history,
``run_report.as_markdown`` one of any run.
"""
