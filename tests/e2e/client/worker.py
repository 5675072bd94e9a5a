"""Worker process that does not close its client; it imports Targetry only when it runs."""

from __future__ import annotations


def decide(host: str, session: str) -> None:
    import logging

    from targetry import TargetClient

    logging.getLogger("adobe.target").addHandler(logging.NullHandler())
    options = {
        "client": "acme",
        "organization_id": "A@AdobeOrg",
        "decisioning_method": "on-device",
        "server_domain": host,
        "secure": False,
        "trust_env": False,
        "cdn_base_path": f"http://{host}",
    }
    client = TargetClient.create(options)
    for _ in range(3):
        client.get_offers(request={"execute": {"mboxes": [{"name": "hero"}]}}, session_id=session)
