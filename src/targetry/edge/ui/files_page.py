"""Page of the files of activities: findings, an editor, and the plan before it is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from targetry.edge.artifacts.registry import ArtifactRegistry
from targetry.edge.delivery.request_parsing import check_field_count
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.request_form import read_form
from targetry.edge.http.write_access import WriteAccess
from targetry.edge.ui.folder_editor import EditedFile, EditError, EditPreview, FolderEditor
from targetry.edge.ui.templates import templates

_MOST_BODY: Final = 2_000_000  # bytes of a form, in which most characters of a file can be escaped


class FilesPage:
    """Endpoints of the page of the files.

    Args:
        registry: Returns the served artifacts.
        editors: The editors of the served folders.
        access: Decides whether a file is saved.
    """

    def __init__(
        self, registry: Callable[[], ArtifactRegistry], editors: Sequence[FolderEditor], access: WriteAccess
    ) -> None:
        self._registry = registry
        self._editors = {one.name: one for one in editors}
        self._access = access

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        return [
            Route("/files", self.page, name="files", methods=["GET"]),
            Route("/files", self.change, name="files", methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Return the files of all folders with their findings, and one of them to edit."""
        check_field_count(request.url.query)
        return await run_in_threadpool(self._page, *_target(request))

    async def change(self, request: Request) -> Response:
        """Show the plan of an edited file, or save it and lead to it."""
        check_field_count(request.url.query)
        fields = await read_form(request, _MOST_BODY)
        if fields.get("action") != "save":
            return await run_in_threadpool(self._planned, *_target(request), fields)
        self._access.check(request, fields.get("token", ""))
        return await run_in_threadpool(self._save, *_target(request), fields)

    def _planned(self, folder: str, name: str, fields: dict[str, str]) -> Response:
        return self._page(folder, name, _edited(name, fields))

    def _save(self, folder: str, name: str, fields: dict[str, str]) -> Response:
        edited, editor = _edited(name, fields), self._editor(folder)
        try:
            if not editor.preview(self._served(editor), name, edited.text).is_usable:
                return self._page(folder, name, edited, "not saved: the files cannot be compiled")
            editor.save(edited, edited.text)
        except EditError as error:
            return self._page(folder, name, edited, str(error), status=409)
        query = urlencode({"folder": folder, "file": name})
        return RedirectResponse(f"files?{query}", 303, templates().headers)

    def _page(
        self,
        folder: str,
        name: str,
        edited: EditedFile | None = None,
        problem: str | None = None,
        *,
        status: int = 200,
    ) -> Response:
        preview: EditPreview | None = None
        listed: list[tuple[str, list[str], Counter[str]]] = []
        try:
            if name:
                editor = self._editor(folder)
                edited = edited or editor.read(name)
                preview = editor.preview(self._served(editor), name, edited.text)
            for one in self._editors.values():
                shown = preview if preview is not None and one.name == folder else None
                found = shown or one.preview(self._served(one))
                listed.append((one.name, one.files(), Counter(each.file for each in found.findings)))
        except EditError as error:
            problem, status = str(error), 409
        html = templates().render(
            "files",
            listed=listed,
            folder=folder,
            name=name,
            edited=edited,
            preview=preview,
            problem=problem,
            can_save=self._access.is_possible,
            needs_token=self._access.needs_token,
        )
        return templates().response(html, status=status)

    def _served(self, editor: FolderEditor) -> dict[str, Any]:
        """Return the artifact that is live, an empty one if none is."""
        found = (one for one in self._registry().artifacts if one.name == editor.name)
        artifact = next(found, None)
        return {} if artifact is None else artifact.rules.document()

    def _editor(self, folder: str) -> FolderEditor:
        editor = self._editors.get(folder)
        if editor is None:
            raise RequestRejected(404, f"the edge serves no folder {folder!r}; start it with --activities")
        return editor


def _target(request: Request) -> tuple[str, str]:
    """Return the folder and the file of a request."""
    return request.query_params.get("folder", ""), request.query_params.get("file", "")


def _edited(name: str, fields: dict[str, str]) -> EditedFile:
    return EditedFile(name, fields.get("text", "").replace("\r\n", "\n"), fields.get("version", ""))
