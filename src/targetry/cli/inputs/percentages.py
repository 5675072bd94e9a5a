"""Percentages in options of commands."""

from __future__ import annotations

from targetry.cli.rendering.output import wrong_option


def parse_fraction(option: str, text: str, *, is_probability: bool = False) -> float:
    """Parse a percentage, with or without its sign, as a fraction.

    Args:
        option: The option, for errors.
        text: The percentage.
        is_probability: Whether it has to be above 0 and below 100.

    Raises:
        typer.BadParameter: It is not a number, or not in this range, or may be meant as a share.
    """
    number = _parse(option, text)
    if is_probability and not 0 < number < 100:
        raise wrong_option(option, f"must be a percentage above 0% and below 100%, not {text!r}")
    return number / 100


def parse_percentage(option: str, text: str) -> float:
    """Parse a percentage from 0 to 100, with or without its sign.

    Args:
        option: The option, for errors.
        text: The percentage.

    Raises:
        typer.BadParameter: It is not a number, or not in this range, or may be meant as a share.
    """
    number = _parse(option, text)
    if not 0 <= number <= 100:
        raise wrong_option(option, f"must be a percentage from 0% to 100%, not {text!r}")
    return number


def _parse(option: str, text: str) -> float:
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        raise wrong_option(option, f"must be a percentage like 2%, not {text!r}") from None
    if "%" not in text and 0 < abs(number) < 1:
        raise wrong_option(
            option, f"{text} is a percentage or a share: write {number:g}% or {100 * number:g}%"
        )
    return number
