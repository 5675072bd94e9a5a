"""Page of the files of activities: findings, an editor, and the plan before it is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from targetry.edge.artifacts.edited_file import EditedFile, EditError, EditPreview
from targetry.edge.artifacts.registry import ArtifactRegistry
from targetry.edge.delivery.request_parsing import check_field_count
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.request_form import read_form
from targetry.edge.http.write_access import WriteAccess
from targetry.edge.ui.templates import templates

if TYPE_CHECKING:
    from targetry.edge.ui.folder_editor import FolderEditor

_MOST_BODY: Final = 2_000_000  # bytes of a form, in which most characters of a file can be escaped


class _Target(NamedTuple):
    """Folder and file of a request; `key` is that of the activity of a new file, or empty."""

    folder: str
    file: str
    key: str

    @property
    def is_new(self) -> bool:
        return bool(self.key)

    @classmethod
    def of(cls, request: Request) -> _Target:
        """Return the target of a request's query."""
        query = request.query_params
        key = query.get("new", "")
        return cls(query.get("folder", ""), f"{key}.yaml" if key else query.get("file", ""), key)


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
        self._changes: dict[str, Callable[[FolderEditor, EditedFile], None]] = {
            "save": _save,
            "create": _create,
            "remove now": _remove,
        }

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        return [
            Route("/files", self.page, name="files", methods=["GET"]),
            Route("/files", self.change, name="files", methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Return the files of all folders with their findings, and one of them to edit."""
        check_field_count(request.url.query)
        return await run_in_threadpool(self._page, _Target.of(request))

    async def change(self, request: Request) -> Response:
        """Show the plan of an edited, new or removed file, or write it and lead to the result."""
        check_field_count(request.url.query)
        fields = await read_form(request, _MOST_BODY)
        change = self._changes.get(fields.get("action", ""))
        target = _Target.of(request)
        edited = _edited(target.file, fields)
        if change is None:
            is_removal = fields.get("action") == "remove"
            return await run_in_threadpool(self._page, target, edited, is_removal=is_removal)
        self._access.check(request, fields.get("token", ""))
        return await run_in_threadpool(self._write, target, edited, change)

    def _write(
        self, target: _Target, edited: EditedFile, change: Callable[[FolderEditor, EditedFile], None]
    ) -> Response:
        """Make a change if the folder compiles with it."""
        editor, is_removal = self._editor(target.folder), change is _remove
        if (change is _create) is not target.is_new:
            raise RequestRejected(400, "the form does not fit its address; send it from the edge's page")
        try:
            if not self._preview(editor, target, edited, is_removal=is_removal).is_usable:
                problem = f"not {'removed' if is_removal else 'saved'}: the files cannot be compiled"
                return self._page(target, edited, problem, is_removal=is_removal)
            change(editor, edited)
        except EditError as error:
            return self._page(target, edited, str(error), status=409)
        query = {"folder": target.folder} | ({} if is_removal else {"file": target.file})
        return RedirectResponse(f"files?{urlencode(query)}", 303, templates().headers)

    def _preview(
        self, editor: FolderEditor, target: _Target, edited: EditedFile, *, is_removal: bool
    ) -> EditPreview:
        text = None if is_removal else edited.text
        return editor.preview(self._served(editor), target.file, text, is_new=target.is_new)

    def _page(
        self,
        target: _Target,
        edited: EditedFile | None = None,
        problem: str | None = None,
        *,
        is_removal: bool = False,
        status: int = 200,
    ) -> Response:
        preview: EditPreview | None = None
        listed: list[tuple[str, list[str], Counter[str]]] = []
        try:
            if target.file:
                editor = self._editor(target.folder)
                if edited is None:
                    edited = editor.new(target.key) if target.is_new else editor.read(target.file)
                preview = self._preview(editor, target, edited, is_removal=is_removal)
        except EditError as error:
            problem, status = problem or str(error), 409
        try:
            for one in self._editors.values():
                shown = preview if preview is not None and one.name == target.folder else None
                found = shown or one.preview(self._served(one))
                listed.append((one.name, one.files(), Counter(each.file for each in found.findings)))
        except EditError as error:
            problem, status = str(error), 409
        html = templates().render(
            "files",
            listed=listed,
            folder=target.folder,
            name=target.file,
            new=target.key,
            edited=edited,
            is_removal=is_removal,
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


def _edited(name: str, fields: dict[str, str]) -> EditedFile:
    return EditedFile(name, fields.get("text", "").replace("\r\n", "\n"), fields.get("version", ""))


def _save(editor: FolderEditor, edited: EditedFile) -> None:
    editor.save(edited, edited.text)


def _remove(editor: FolderEditor, edited: EditedFile) -> None:
    editor.remove(edited)


def _create(editor: FolderEditor, edited: EditedFile) -> None:
    editor.create(edited.name.removesuffix(".yaml"), edited.text)
