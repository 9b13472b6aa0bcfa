"""The audit's report as HTML, Markdown and JSON, and the demo."""
