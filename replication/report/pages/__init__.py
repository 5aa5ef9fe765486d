"""What each page says: one module a group of pages, each yielding `Page`s. No page computes a number."""

__all__: list[str] = []
