"""Percentages in options of commands."""

from __future__ import annotations

from targetry.cli.rendering.output import wrong_option


def parse_percent(option: str, text: str, *, is_probability: bool = False) -> float:
    """Parse a percentage, with or without its sign, as a fraction.

    Args:
        option: The option, for errors.
        text: The percentage.
        is_probability: Whether it has to be above 0 and below 100.

    Raises:
        typer.BadParameter: It is not a number, or not in this range, or may be meant as a share.
    """
    try:
        found = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        raise wrong_option(option, f"must be a percentage like 2%, not {text!r}") from None
    if is_probability and not 0 < found < 1:
        raise wrong_option(option, f"must be a percentage above 0% and below 100%, not {text!r}")
    if (reason := ambiguous_percentage(text)) is not None:
        raise wrong_option(option, reason)
    return found


def ambiguous_percentage(text: str) -> str | None:
    """Return what is wrong with a percentage below 1 without a sign: it may be meant as a share."""
    number = float(text.strip().rstrip("%"))
    if "%" in text or not 0 < abs(number) < 1:
        return None
    return f"{text} is a percentage or a share: write {number:g}% or {100 * number:g}%"
