"""Checked options of flags: keys, targeting key, impressions."""

from __future__ import annotations

from typing import Final, Literal, cast, get_args

import msgspec

from targetry.errors import OptionError
from targetry.flags.context import TargetingKey, checked_targeting_key
from targetry.flags.key import DEFAULT_SEPARATOR, FlagKeys
from targetry.flags.window import DEFAULT_WINDOW_S, checked_window
from targetry.models.scalars import shown

Impressions = Literal["once", "always", "never"]

DEFAULT_TARGETING_KEY: Final = "third_party_id"


class FlagSettings(msgspec.Struct, frozen=True, eq=False):
    """Checked options; see `flag_settings`."""

    keys: FlagKeys
    targeting: TargetingKey
    impressions: Impressions
    window_s: float


def flag_settings(
    *,
    separator: object = DEFAULT_SEPARATOR,
    flags: object = None,
    targeting_key: object = DEFAULT_TARGETING_KEY,
    targeting_key_parameter: object = None,
    impressions: object = "once",
    impression_window: object = DEFAULT_WINDOW_S,
) -> FlagSettings:
    """Check the options of flags.

    Args:
        separator: The character between mbox and attribute.
        flags: Aliases of flags with their keys.
        targeting_key: The id that a context's targeting key is: `third_party_id`, `tnt_id`,
            `marketing_cloud_visitor_id` or `customer:<integration code>`.
        targeting_key_parameter: An mbox parameter that also gets the targeting key.
        impressions: `once` for each visitor, mbox and experience within the window, `always`, or
            `never`.
        impression_window: Length of the window in seconds.

    Raises:
        OptionError: An option is wrong; `path` is its name.
    """
    return FlagSettings(
        FlagKeys(separator, flags),
        checked_targeting_key(targeting_key, targeting_key_parameter),
        _checked_impressions(impressions),
        checked_window(impression_window),
    )


def _checked_impressions(value: object) -> Impressions:
    for known in get_args(Impressions):
        if value == known:
            return cast(Impressions, known)
    raise OptionError("impressions", f"must be once, always or never, not {shown(value)}")
