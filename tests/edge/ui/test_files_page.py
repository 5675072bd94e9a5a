"""Page of the files of activities, at `/files`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from support.activities import HERO, write_files
from support.edge import web_client
from targetry.activities.compile.compiler import compile_activities
from targetry.activities.compile.loading import load_folder
from targetry.activities.model.files import LOCK_FILE, ActivityFolder
from targetry.activities.model.lock_file import render_lock
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.artifacts.watcher import ArtifactWatcher
from targetry.edge.http.write_access import WriteAccess
from targetry.edge.options import EdgeOptions
from targetry.edge.server import EdgeServer
from targetry.edge.ui.folder_editor import FolderEditor

SAME = {"origin": "http://testserver"}
CHANGED = HERO.replace("share: 50", "share: 80", 1).replace("share: 50", "share: 20", 1)


class Site:
    """Edge of a folder with `hero.yaml`."""

    def __init__(self, folder: Path, access: WriteAccess | None = None, **files: str) -> None:
        self.folder = write_files(folder, {"hero.yaml": HERO, **files})
        self.watcher = ArtifactWatcher([self.folder])
        editors = [FolderEditor(folder.name, folder)]
        self.client = TestClient(EdgeApplication(Edge(self.watcher, write_access=access, editors=editors)))
        self.path = f"/files?folder={folder.name}&file=hero.yaml"

    def version(self) -> str:
        (version,) = re.findall('name="version" value="([^"]+)"', self.client.get(self.path).text)
        return version

    def send(self, text: str, action: str = "save", **fields: str) -> Any:
        data = {"text": text.replace("\n", "\r\n"), "version": self.version(), "action": action, **fields}
        return self.client.post(self.path, data=data, headers=SAME)

    def text(self) -> str:
        return (self.folder / "hero.yaml").read_bytes().decode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_edge_without_a_folder_shows_the_option() -> None:
    assert "--activities" in web_client().get("/files").text


def test_files_are_listed_with_their_findings(tmp_path: Path) -> None:
    site = Site(tmp_path)
    write_files(tmp_path, {"other.yaml": "key: other\nnmae: x\n"})
    page = site.client.get(site.path).text
    assert re.findall("file=([a-z.]+)", page)[:3] == ["hero.yaml", "other.yaml", "targetry.yaml"]
    assert "findings</span>" in page or "finding</span>" in page
    assert "other.yaml:2:1: error TA002: unknown key" in page


def test_plan_of_an_edited_file_says_who_moves_and_saves_nothing(site: Site) -> None:
    page = site.send(CHANGED, "plan").text
    assert "30.00 % of its visitors switch from sale to everyday" in page
    assert site.text() == HERO


def test_finding_of_an_edited_file_has_its_position(site: Site) -> None:
    page = site.send(HERO + "nmae: x\n", "plan").text
    assert 'data-line="7" data-column="1"' in page
    assert "unknown key" in page


def test_warning_is_shown_next_to_the_plan(site: Site) -> None:
    page = site.send(HERO.replace("share: 50", "share: 40", 1), "plan").text
    assert "warning TA204" in page
    assert "10.00 % of its visitors" in page


def test_old_lock_is_a_warning_as_the_edge_serves_it(site: Site) -> None:
    loaded = load_folder(ActivityFolder(site.folder))
    assert loaded.activities is not None
    lock = compile_activities(loaded.activities).lock
    (site.folder / LOCK_FILE).write_text(render_lock(lock))
    page = site.send(CHANGED, "plan").text
    assert 'class="finding warning">targetry.lock:1:1: warning TA007: the lock is out of date' in page
    assert "of its visitors switch from sale to everyday; no other visitor moves" in page
    site.send(CHANGED)
    assert site.text() == CHANGED


def test_saved_file_is_served(site: Site) -> None:
    response = site.send(CHANGED)
    assert (response.status_code, response.history[0].status_code) == (200, 303)
    assert site.text() == CHANGED
    assert "30.00 %" in response.text, "the edge has not loaded the file yet"
    assert site.watcher.refresh()
    assert "No changes." in site.client.get(site.path).text


def test_file_with_errors_is_not_saved(site: Site) -> None:
    response = site.send(HERO + "nmae: x\n")
    assert "not saved: the files cannot be compiled" in response.text
    assert "nmae: x" in response.text, "the text is not lost"
    assert site.text() == HERO


def test_file_that_changed_meanwhile_is_not_saved(site: Site) -> None:
    version = site.version()
    write_files(site.folder, {"hero.yaml": HERO + "name: Theirs\n"})
    response = site.send(CHANGED, version=version)
    assert response.status_code == 409
    assert "has changed meanwhile" in response.text
    assert site.text() == HERO + "name: Theirs\n"


def test_line_ends_and_byte_order_mark_are_kept(site: Site) -> None:
    (site.folder / "hero.yaml").write_bytes(b"\xef\xbb\xbf" + HERO.replace("\n", "\r\n").encode())
    site.send(CHANGED)
    assert (site.folder / "hero.yaml").read_bytes() == b"\xef\xbb\xbf" + CHANGED.replace(
        "\n", "\r\n"
    ).encode()


def test_linked_file_stays_a_link(site: Site) -> None:
    (site.folder / "hero.yaml").rename(site.folder / "target.txt")
    (site.folder / "hero.yaml").symlink_to("target.txt")
    site.send(CHANGED)
    assert (site.folder / "hero.yaml").is_symlink()
    assert (site.folder / "target.txt").read_text("utf-8") == CHANGED


def test_full_disk_leaves_the_file_and_the_text(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    response = site.send(CHANGED)
    assert "was not saved" in response.text
    assert site.text() == HERO
    assert sorted(os.listdir(site.folder)) == ["hero.yaml", "targetry.yaml"]


def test_new_activity_has_a_template_with_its_plan(site: Site) -> None:
    page = site.client.get("/files", params={"folder": site.folder.name, "new": "banner"}).text
    assert "mbox: banner" in page
    assert re.search(r"banner \(\d+\) +new, at mbox banner", page)
    assert not (site.folder / "banner.yaml").exists()


def test_created_file_is_listed_and_never_replaces_another(site: Site) -> None:
    where = {"folder": site.folder.name, "new": "banner"}
    text = HERO.replace("key: hero", "key: banner").replace("mbox: hero", "mbox: banner")
    data = {"text": text, "version": "", "action": "create"}
    response = site.client.post("/files", params=where, data=data, headers=SAME)
    assert (response.status_code, response.history[0].status_code) == (200, 303)
    assert (site.folder / "banner.yaml").read_text("utf-8") == text
    assert "file=banner.yaml" in response.text
    again = site.client.post("/files", params=where, data=data | {"text": "key: x\n"}, headers=SAME)
    assert again.status_code in (200, 409)
    where["new"] = "hero"
    hero = site.client.post("/files", params=where, data=data | {"text": CHANGED}, headers=SAME)
    assert (hero.status_code, "there is a file hero.yaml already" in hero.text) == (409, True)
    assert (site.folder / "banner.yaml").read_text("utf-8") == text
    assert site.text() == HERO


def test_new_file_with_errors_is_not_created(site: Site) -> None:
    where = {"folder": site.folder.name, "new": "banner"}
    data = {"text": "key: banner\nnmae: x\n", "version": "", "action": "create"}
    response = site.client.post("/files", params=where, data=data, headers=SAME)
    assert "not saved: the files cannot be compiled" in response.text
    assert "nmae: x" in response.text, "the text is not lost"
    assert not (site.folder / "banner.yaml").exists()


@pytest.mark.parametrize("key", ["../x", "a/b", "A", ".x", "x" * 101, "\x00", "targetry", "hero"])
def test_new_file_has_a_free_name_in_the_folder(site: Site, key: str) -> None:
    before = sorted(site.folder.rglob("*"))
    where = {"folder": site.folder.name, "new": key}
    assert site.client.get("/files", params=where).status_code == 409
    data = {"text": HERO.replace("hero", "other"), "version": "", "action": "create"}
    assert site.client.post("/files", params=where, data=data, headers=SAME).status_code in (200, 409)
    assert sorted(site.folder.rglob("*")) == before


def test_file_is_removed_after_its_plan_was_shown(site: Site) -> None:
    confirmation = site.send(HERO, "remove").text
    assert "Remove hero.yaml?" in confirmation
    assert re.search(r"hero \(\d+\) +gone", confirmation)
    assert site.text() == HERO
    response = site.send(HERO, "remove now")
    assert (response.status_code, response.history[0].status_code) == (200, 303)
    assert os.listdir(site.folder) == ["targetry.yaml"]
    assert "file=hero.yaml" not in response.text


def test_file_that_others_need_or_that_changed_is_not_removed(tmp_path: Path) -> None:
    hero = HERO.replace("html: sale", "html: {file: offers/sale.html}")
    site = Site(tmp_path, **{"hero.yaml": hero, "offers/sale.html": "<b>old</b>\n"})
    version = site.version()
    write_files(tmp_path, {"hero.yaml": hero + "name: Theirs\n"})
    assert site.send("", "remove now", version=version).status_code == 409
    site.path = site.path.replace("hero.yaml", "offers%2Fsale.html")
    confirmation = site.send("", "remove").text
    assert "TA005" in confirmation
    assert "Remove the file" not in confirmation
    assert "not removed: the files cannot be compiled" in site.send("", "remove now").text
    assert (tmp_path / "offers" / "sale.html").exists()
    assert (tmp_path / "hero.yaml").exists()


@pytest.mark.parametrize("action", ["create", "unknown"])
def test_form_for_another_address_writes_nothing(site: Site, action: str) -> None:
    response = site.send(CHANGED, action)
    assert response.status_code == (400 if action == "create" else 200)
    assert site.text() == HERO


def test_offer_of_a_file_is_edited(tmp_path: Path) -> None:
    hero = HERO.replace("html: sale", "html: {file: offers/sale.html}")
    site = Site(tmp_path, **{"hero.yaml": hero, "offers/sale.html": "<b>old</b>\n"})
    site.path = site.path.replace("hero.yaml", "offers%2Fsale.html")
    assert "&lt;b&gt;old&lt;/b&gt;" in site.client.get(site.path).text
    site.send("</textarea><script>\n")
    assert (tmp_path / "offers" / "sale.html").read_text("utf-8") == "</textarea><script>\n"
    assert site.client.get(site.path).text.count("<script>") == 1


@pytest.mark.parametrize(
    "name", ["../secret.yaml", "/etc/passwd", "targetry.lock", "link.yaml", "other.html", "\x00"]
)
def test_no_other_file_is_shown_or_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.yaml").write_text("secret: 1")
    folder = tmp_path / "activities"
    site = Site(folder, **{"other.html": "secret"})
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    where = {"folder": "activities", "file": name}
    response = site.client.get("/files", params=where)
    assert response.status_code == 409
    assert "secret: 1" not in response.text
    fields = {"text": "new", "version": "", "action": "save"}
    assert site.client.post("/files", params=where, data=fields, headers=SAME).status_code in (200, 409)
    assert (tmp_path / "secret.yaml").read_text() == "secret: 1"
    assert (folder / "other.html").read_text() == "secret"
    assert not (folder / "targetry.lock").exists()


@pytest.mark.parametrize(
    ("access", "headers", "fields", "status"),
    [
        (None, {}, {}, 403),
        (None, {"origin": "https://evil.example"}, {}, 403),
        (WriteAccess(is_remote=True), SAME, {}, 403),
        (WriteAccess("t"), SAME, {}, 403),
        (WriteAccess("t"), SAME, {"token": "t"}, 200),
    ],
    ids=["no origin", "other origin", "remote", "no token", "token"],
)
def test_file_is_saved_only_by_the_page_with_its_token(
    tmp_path: Path, access: WriteAccess | None, headers: dict[str, str], fields: dict[str, str], status: int
) -> None:
    site = Site(tmp_path, access)
    data = {"text": CHANGED, "version": site.version(), "action": "save", **fields}
    assert site.client.post(site.path, data=data, headers=headers).status_code == status
    assert site.text() == (CHANGED if status == 200 else HERO)


@pytest.mark.parametrize("action", ["create", "remove now"])
def test_files_are_created_and_removed_only_with_origin_and_token(tmp_path: Path, action: str) -> None:
    site = Site(tmp_path, WriteAccess("t"))
    path = site.path if action != "create" else site.path.replace("file=hero.yaml", "new=banner")
    text = HERO.replace("hero", "banner") if action == "create" else HERO
    data = {"text": text, "version": site.version(), "action": action}
    for headers, fields in ((SAME, {}), ({}, {"token": "t"}), (SAME, {"token": "x"})):
        assert site.client.post(path, data=data | fields, headers=headers).status_code == 403
    assert sorted(os.listdir(tmp_path)) == ["hero.yaml", "targetry.yaml"]
    site.client.post(path, data=data | {"token": "t"}, headers=SAME)
    assert sorted(os.listdir(tmp_path)) != ["hero.yaml", "targetry.yaml"]


def test_unknown_folder_and_too_many_fields_are_rejected(site: Site) -> None:
    assert site.client.get("/files?folder=x&file=hero.yaml").status_code == 404
    many = {str(number): "x" for number in range(20)}
    assert site.client.post(site.path, data=many, headers=SAME).status_code == 400


def test_server_edits_the_folders_of_its_option(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "activities", {"hero.yaml": HERO})
    server = EdgeServer.open(EdgeOptions(port=0, activities=[folder]))
    try:
        page = TestClient(server.application).get("/files?folder=activities&file=hero.yaml").text
        assert "No changes." in page
    finally:
        server.close()
