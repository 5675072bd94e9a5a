"""Context of a visitor: device, browser, page and place."""

from __future__ import annotations

from msgspec import field

from targetry.models.accepted import ABSENT, Id250, IpAddress, Number
from targetry.models.base import Model
from targetry.models.constraint import Text12, Text50, Text128, Text250, Text4096
from targetry.models.enums import (
    ChannelTypeValue,
    DeviceTypeValue,
    MobilePlatformTypeValue,
    ScreenOrientationTypeValue,
)


class MobilePlatform(Model):
    """Mobile device, for the channel mobile. `device_type` and `platform_type` are required."""

    device_name: str | None = None
    device_type: DeviceTypeValue | None = None
    platform_type: MobilePlatformTypeValue | None = None
    version: Text128 | None = None


class Application(Model):
    """Mobile application."""

    id: Id250 = ABSENT
    name: Text250 | None = None
    version: Text128 | None = None


class Screen(Model):
    """Screen of the device, in pixels."""

    width: Number = ABSENT
    height: Number = ABSENT
    color_depth: Number = ABSENT
    pixel_ratio: Number = ABSENT
    orientation: ScreenOrientationTypeValue | None = None


class Window(Model):
    """Browser's window, in pixels."""

    width: Number = ABSENT
    height: Number = ABSENT


class Browser(Model):
    """Browser. `language` has the form of an Accept-Language header."""

    host: str | None = None
    language: str | None = None
    web_gl_renderer: str | None = field(default=None, name="webGLRenderer")


class Address(Model):
    """Current URL and referring URL."""

    url: Text4096 | None = None
    referring_url: Text4096 | None = None


class Geo(Model):
    """Place of the visitor.

    On the wire `country_code` has 2 letters (ISO 3166-1) and `state_code` 1 to 3. `ip_address` can
    have a port, or be a list as in `X-Forwarded-For`, whose first entry counts. A text that is not
    an address is ignored, with a warning in the log and a count in `client.stats()`.
    """

    ip_address: IpAddress = ABSENT
    latitude: Number = ABSENT
    longitude: Number = ABSENT
    country_code: str | None = None
    state_code: str | None = None
    city: Text50 | None = None
    zip: Text12 | None = None


class ClientHints(Model):
    """Values of the `Sec-CH-UA…` headers, which take the place of the user agent.

    `browser_ua_with_major_version` is `Sec-CH-UA`, `browser_ua_with_full_version` is
    `Sec-CH-UA-Full-Version-List`.
    """

    mobile: bool | None = None
    model: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    browser_ua_with_major_version: str | None = field(default=None, name="browserUAWithMajorVersion")
    browser_ua_with_full_version: str | None = field(default=None, name="browserUAWithFullVersion")
    architecture: str | None = None
    bitness: str | None = None


class Context(Model):
    """Context of a request. `channel` is required.

    The API ignores the HTTP header User-Agent: the visitor's goes in `user_agent`. `beacon` asks
    for an empty response (204). The API takes False for unset, so False is not sent.
    """

    channel: ChannelTypeValue | None = None
    mobile_platform: MobilePlatform | None = None
    application: Application | None = None
    screen: Screen | None = None
    window: Window | None = None
    browser: Browser | None = None
    address: Address | None = None
    geo: Geo | None = None
    time_offset_in_minutes: Number = ABSENT
    user_agent: str | None = None
    beacon: bool | None = False
    client_hints: ClientHints | None = None
