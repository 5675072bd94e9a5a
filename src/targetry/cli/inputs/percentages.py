"""Percentages in options of commands."""

from __future__ import annotations

from targetry.cli.rendering.output import print_notes, wrong_option


def parse_percent(option: str, text: str, *, is_probability: bool = False) -> float:
    """Parse a percentage, with or without its sign, as a fraction.

    Args:
        option: The option, for errors.
        text: The percentage.
        is_probability: Whether it has to be above 0 and below 100.

    Raises:
        typer.BadParameter: It is not a number, or not in this range.
    """
    try:
        found = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        raise wrong_option(option, f"must be a percentage like 2%, not {text!r}") from None
    if is_probability and not 0 < found < 1:
        raise wrong_option(option, f"must be a percentage above 0% and below 100%, not {text!r}")
    note_small_percentage(option, text)
    return found


def note_small_percentage(option: str, text: str) -> None:
    """Print a note on a percentage below 1 without a sign, which may be meant as a share."""
    number = float(text.strip().rstrip("%"))
    if "%" not in text and 0 < abs(number) < 1:
        print_notes(
            [
                f"{option} {text} was read as {number:g} %; write {100 * number:g}% if a share is meant, "
                f"or {number:g}% to confirm"
            ]
        )
