"""How readers refuse: the place that finds a fault says what is wrong, each message around it adds in which field."""

from __future__ import annotations


class Malformed(Exception):
    """What was read is not in its form. The text never repeats the content of a span."""

    def __init__(self, description: str, field: str = "") -> None:
        super().__init__(f"{field}: {description}" if field else description)
        self.description = description
        """What is wrong and how to mend it."""
        self.field = field
        """Path of the field, as in `span.attributes[3].value`; empty for the message itself."""

    def within(self, segment: str) -> Malformed:
        """Returns the same fault with a field in front of its path."""
        return Malformed(self.description, f"{segment}.{self.field}" if self.field else segment)
