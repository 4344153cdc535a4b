"""The site: its pages, and what draws their figures and fills their tables."""
