"""Legal and illegal twins: the Markdown files beside the rules, read and checked against the whole rulebook."""

from pgaudit.examples.checking import check, contract
from pgaudit.examples.reading import Section, sections

__all__ = ["Section", "check", "contract", "sections"]
