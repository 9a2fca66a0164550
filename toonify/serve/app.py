"""The page and what it asks for, over HTTP.

Everything under `/api/` is for a visitor: a browser with the cookie that the page gave it. Photos and pictures are
known by ids that cannot be guessed, and looked up among that visitor's own.
"""

import asyncio
import contextlib
import ipaddress
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args
from urllib.parse import quote

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from toonify.drawing.plan import default_look
from toonify.errors import DeviceError, ImageError, StyleError, ToonifyError, UsageError
from toonify.images.formats import FORMAT_OF_SUFFIX, FormatOption
from toonify.pages.server import STALL_SECONDS, Listening, read_body, say
from toonify.serve.choice import SHOWN, Choice, own_values, parse_choice
from toonify.serve.folder import ServedFolder
from toonify.serve.queue import FullError, WorkQueue
from toonify.serve.studio import LARGEST_PREVIEW, Studio
from toonify.serve.takes import Take, Takes, zipped
from toonify.serve.visitors import KEPT_SECONDS, MOST_BYTES, MOST_PHOTOS, RefusedError, ServedPhoto, Visitor, Visitors
from toonify.styles.look import LookName
from toonify.styles.options import OPTIONS
from toonify.system.cores import network_threads
from toonify.version import __version__

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MOST_JSON = 512 << 10  # bytes of a request
_SLOWEST, _GRACE = 4096, 15.0  # bytes a second of an upload, once it has lasted so many seconds
_AWAY_SECONDS = 5.0  # without an open page, after which nothing more is drawn for a visitor; a reload takes less
_TICK, _BEAT = 0.2, 10.0  # seconds between looks at what has changed, and between signs of life
_NOT_HERE = "only the browser that toonify opened on this machine writes there"
_FULL_RANK = 3  # of what is drawn at its full size: after all previews


class _TakeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What the page wants to have drawn."""

    photos: list[str]
    style: str
    options: dict[str, str | float | int] = {}
    format: FormatOption = "same"
    strip_metadata: bool = False
    place: Literal["download", "folder"] = "download"
    overwrite: bool = False


class Application:
    """All that a server of the page holds. As a context, it ends its work and empties the temporary folder."""

    def __init__(self, studio: Studio, listening: Listening, folder: ServedFolder | None = None) -> None:
        self.token = secrets.token_urlsafe(24)
        self._studio, self._listening, self._folder = studio, listening, folder
        self._visitors = Visitors(self._gone)
        self._queue = WorkQueue(max(2, network_threads()))
        self._takes = Takes(studio, self._visitors.root / "takes")
        self._cookie = f"toonify-{listening.port}"
        self._files = _page_files()
        self.asgi = Starlette(routes=self._routes(), exception_handlers=_HANDLERS)
        self.asgi.router.redirect_slashes = False

    @property
    def address(self) -> str:
        """What to open, with the token."""
        return f"{self._listening.address}?token={self.token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.close()
        self._takes.close()
        self._visitors.__exit__()

    def _routes(self) -> list[Route]:
        def visited(path: str, answer: Callable[[Request, Visitor], Awaitable[Response]], method: str = "GET") -> Route:
            async def endpoint(request: Request) -> Response:
                visitor = self._visitor(request)
                if visitor is None:
                    return _problem(HTTPStatus.UNAUTHORIZED, "this page has lost its place; load it again")
                return await answer(request, visitor)

            return Route(path, endpoint, methods=[method])

        return [
            Route("/", self._index, methods=["GET"]),
            Route("/page/{name}", self._file, methods=["GET"]),
            visited("/api/schema", self._schema),
            visited("/api/photos", self._list),
            visited("/api/photos", self._upload, "POST"),
            visited("/api/photos", self._remove_all, "DELETE"),
            visited("/api/photos/{id}", self._remove, "DELETE"),
            visited("/api/photos/{id}/photo", self._photo),
            visited("/api/photos/{id}/drawing", self._drawing),
            visited("/api/photos/{id}/done", self._done),
            visited("/api/folder", self._folder_state),
            visited("/api/takes", self._take, "POST"),
            visited("/api/takes", self._clear, "DELETE"),
            visited("/api/takes/cancel", self._cancel, "POST"),
            visited("/api/takes/zip", self._zip),
            visited("/api/takes/{id}/retry", self._retry, "POST"),
            visited("/api/takes/{id}/file", self._take_file),
            visited("/api/events", self._events),
        ]

    # Who is it

    def _visitor(self, request: Request) -> Visitor | None:
        return self._visitors.find(request.cookies.get(self._cookie))

    def _sees_folder(self, visitor: Visitor) -> bool:
        return self._folder is not None and visitor.holds_key

    def _may_write(self, request: Request, visitor: Visitor) -> bool:
        client = request.client
        try:
            is_here = client is not None and ipaddress.ip_address(client.host).is_loopback
        except ValueError:
            is_here = False
        return is_here and self._sees_folder(visitor)

    def _gone(self, visitor: Visitor) -> None:
        self._takes.forget(visitor)
        for photo_id in list(visitor.photos):
            self._studio.forget(photo_id)

    # The page

    async def _index(self, request: Request) -> Response:
        visitor = self._visitor(request)
        token = request.query_params.get("token")
        is_key = token is not None and secrets.compare_digest(token.encode(), self.token.encode())
        if token is not None and not is_key:
            return say(HTTPStatus.FORBIDDEN, "this address is of another run; open the one that the terminal shows")
        if visitor is None:
            if not is_key and not self._listening.is_loopback:
                return say(HTTPStatus.FORBIDDEN, "open the address that the terminal shows, with its token")
            self._visitors.sweep()
            visitor = self._visitors.welcome()
        visitor.holds_key |= is_key
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER) if is_key else self._page("index.html")
        response.set_cookie(self._cookie, visitor.id, httponly=True, samesite="lax", path="/")
        return response

    async def _file(self, request: Request) -> Response:
        return self._page(request.path_params["name"])

    def _page(self, name: str) -> Response:
        if name not in self._files:
            return say(HTTPStatus.NOT_FOUND)
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        return Response(self._files[name], media_type=_KINDS[Path(name).suffix], headers=headers)

    async def _schema(self, request: Request, visitor: Visitor) -> Response:
        return JSONResponse(
            {
                "version": __version__,
                "suffixes": sorted(FORMAT_OF_SUFFIX),
                "formats": get_args(FormatOption)[:1] + get_args(get_args(FormatOption)[1]),
                "limits": {"photos": MOST_PHOTOS, "bytes": MOST_BYTES, "side": LARGEST_PREVIEW},
                "options": [
                    {
                        "name": name,
                        "help": OPTIONS[name].help,
                        "limits": OPTIONS[name].limits,
                        "words": OPTIONS[name].words,
                        "pixels": OPTIONS[name].is_pixels,
                    }
                    for name in SHOWN
                ],
                "styles": [self._style_record(name) for name in self._studio.styles],
                "folder": self._folder.name if self._folder is not None and visitor.holds_key else None,
                "has_folder": self._folder is not None,
                "finds_faces": self._studio.finds_faces,
                "is_loopback": self._listening.is_loopback,
                "may_write": self._may_write(request, visitor),
            }
        )

    def _style_record(self, name: str) -> dict[str, Any]:
        style = self._studio.styles[name]
        looks = {look: own_values(self._studio.plan(Choice(name, (("look", look),)))) for look in get_args(LookName)}
        output = self._folder.output_name(name) if self._folder is not None else ""
        own = default_look(style.card.look)
        return {"id": name, "title": style.card.title, "look": own, "looks": looks, "output": output}

    # Photos

    def _find(self, request: Request, visitor: Visitor) -> ServedPhoto | None:
        return self._find_id(request.path_params["id"], visitor)

    def _find_id(self, photo_id: str, visitor: Visitor) -> ServedPhoto | None:
        found = visitor.photos.get(photo_id)
        if found is None and self._folder is not None and visitor.holds_key:
            found = self._folder.find(photo_id)
        return found

    async def _list(self, request: Request, visitor: Visitor) -> Response:
        photos = list(visitor.photos.values())
        if self._folder is not None and visitor.holds_key:
            with contextlib.suppress(ToonifyError, OSError):  # of a folder that is gone, what was there is shown
                await run_in_threadpool(self._folder.look)
            photos = [*self._folder.photos, *photos]
        return JSONResponse({"changes": visitor.changes, "photos": [photo.record() for photo in photos]})

    async def _upload(self, request: Request, visitor: Visitor) -> Response:
        declared = request.headers.get("content-length")
        name = request.query_params.get("name", "photo")
        path = self._visitors.begin(visitor, name, None if declared is None else int(declared))
        try:
            await _store(request, path)
            photo = await run_in_threadpool(self._visitors.add, visitor, path, name)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return JSONResponse(photo.record(), HTTPStatus.CREATED)

    async def _remove(self, request: Request, visitor: Visitor) -> Response:
        photo_id = request.path_params["id"]
        if not self._visitors.remove(visitor, photo_id):
            return _problem(HTTPStatus.NOT_FOUND, "this photo is not here")
        self._drop(visitor, {photo_id})
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _remove_all(self, request: Request, visitor: Visitor) -> Response:
        ids = set(visitor.photos)
        for photo_id in ids:
            self._visitors.remove(visitor, photo_id)
        self._drop(visitor, ids)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _drop(self, visitor: Visitor, ids: set[str]) -> None:
        self._takes.cancel(visitor, [take.id for take in self._takes.of(visitor)[1] if take.photo.id in ids])
        for photo_id in ids:
            self._studio.forget(photo_id)

    async def _photo(self, request: Request, visitor: Visitor) -> Response:
        photo = self._find(request, visitor)
        if photo is None:
            return _problem(HTTPStatus.NOT_FOUND, "this photo is not here")
        side, rank = _side(request), _rank(request)
        source = photo.source
        if side is None:
            return await self._drawn(request, _FULL_RANK, lambda: self._studio.full_photo(source))
        return await self._drawn(request, rank, lambda: self._studio.photo(source, side))

    async def _drawing(self, request: Request, visitor: Visitor) -> Response:
        photo = self._find(request, visitor)
        if photo is None:
            return _problem(HTTPStatus.NOT_FOUND, "this photo is not here")
        side, rank, choice = _side(request), _rank(request), self._choice(request)
        source = photo.source
        if side is None:
            return await self._drawn(request, _FULL_RANK, lambda: self._studio.full_drawing(source, choice))
        return await self._drawn(request, rank, lambda: self._studio.preview(source, choice, side))

    async def _drawn(self, request: Request, rank: int, work: Callable[[], bytes]) -> Response:
        """A picture, once its turn has come; nobody draws it if the browser has gone before."""
        future = self._queue.submit(rank, work)
        made, gone = asyncio.wrap_future(future), asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait({made, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not made.done():
                raise ClientDisconnect
            return Response(made.result(), media_type="image/jpeg")
        finally:
            gone.cancel()
            made.cancel()

    def _choice(self, request: Request) -> Choice:
        values = {name: value for name, value in request.query_params.items() if name not in ("style", "side", "rank")}
        return parse_choice(request.query_params.get("style", ""), values, self._studio.styles)

    # The folder

    async def _folder_state(self, request: Request, visitor: Visitor) -> Response:
        if self._folder is None or not visitor.holds_key:
            return _problem(HTTPStatus.NOT_FOUND, "no folder is shown here")
        folder, plan = self._folder, self._studio.plan(self._choice(request))
        return JSONResponse(await run_in_threadpool(folder.drawn, plan))

    async def _done(self, request: Request, visitor: Visitor) -> Response:
        style = request.query_params.get("style", "")
        picture = None
        if self._folder is not None and visitor.holds_key and style in self._studio.styles:
            picture = await run_in_threadpool(self._folder.picture, request.path_params["id"], style)
        if picture is None:
            return _problem(HTTPStatus.NOT_FOUND, "this photo is not drawn yet")
        source, side = picture.source, _side(request) or LARGEST_PREVIEW
        return await self._drawn(request, _rank(request), lambda: self._studio.photo(source, side))

    # Pictures to take

    async def _take(self, request: Request, visitor: Visitor) -> Response:
        asked = await _read_json(request, _TakeRequest)
        choice = parse_choice(asked.style, asked.options, self._studio.styles)
        found = [self._find_id(photo_id, visitor) for photo_id in dict.fromkeys(asked.photos)]
        photos = [photo for photo in found if photo is not None]
        if not photos:
            return _problem(HTTPStatus.NOT_FOUND, "these photos are not here")
        place = None
        if asked.place == "folder":
            if not self._may_write(request, visitor):
                return _problem(HTTPStatus.FORBIDDEN, _NOT_HERE)
            assert self._folder is not None  # noqa: S101 - or nobody may write
            if not all(photo.is_of_folder for photo in photos):
                return _problem(HTTPStatus.BAD_REQUEST, "dropped photos are not of the folder; download their drawings")
            jobs = await run_in_threadpool(self._folder.jobs, choice.style, asked.format)
            place = lambda photo: jobs[photo.id]  # noqa: E731
        takes = self._takes.ask(
            visitor,
            photos,
            choice,
            format=asked.format,
            strip_metadata=asked.strip_metadata,
            place=place,
            overwrite=asked.overwrite and place is not None,
        )
        record = {"batch": takes[0].batch, "takes": [take.record() for take in takes]}
        return JSONResponse(record, HTTPStatus.ACCEPTED)

    async def _cancel(self, request: Request, visitor: Visitor) -> Response:
        ids = await _read_json(request, list[str] | None)
        return JSONResponse({"cancelled": self._takes.cancel(visitor, ids)})

    async def _retry(self, request: Request, visitor: Visitor) -> Response:
        overwrite = request.query_params.get("overwrite") == "yes"
        take = self._takes.find(visitor, request.path_params["id"])
        if take is not None and take.in_folder and not self._may_write(request, visitor):
            return _problem(HTTPStatus.FORBIDDEN, _NOT_HERE)
        take = self._takes.retry(visitor, request.path_params["id"], overwrite=overwrite)
        if take is None:
            return _problem(HTTPStatus.NOT_FOUND, "this picture is not here, or needs no other try")
        return JSONResponse(take.record(), HTTPStatus.ACCEPTED)

    async def _clear(self, request: Request, visitor: Visitor) -> Response:
        await run_in_threadpool(self._takes.clear, visitor)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _take_file(self, request: Request, visitor: Visitor) -> Response:
        take = self._takes.find(visitor, request.path_params["id"])
        if take is None or take.state != "done" or not take.job.target.is_file():
            return _problem(HTTPStatus.NOT_FOUND, "this picture is not here")
        return FileResponse(
            take.job.target,
            media_type="application/octet-stream",  # it is to be saved, whatever it is
            headers={"Content-Disposition": _attachment(take.name)},
        )

    async def _zip(self, request: Request, visitor: Visitor) -> Response:
        batches = request.query_params.getlist("batch")
        files = [
            (take.name, take.job.target)
            for take in self._takes.of(visitor)[1]
            if take.state == "done" and (not batches or take.batch in batches) and take.job.target.is_file()
        ]
        if not files:
            return _problem(HTTPStatus.NOT_FOUND, "no picture is done yet")
        headers = {"Content-Disposition": _attachment("toonify.zip")}
        return StreamingResponse(zipped(files), media_type="application/zip", headers=headers)

    # What happens meanwhile

    async def _events(self, request: Request, visitor: Visitor) -> Response:
        async def stream() -> AsyncIterator[str]:
            visitor.pages += 1
            sent: dict[str, dict[str, object]] = {}
            seen, changes, beat = -1, visitor.changes, time.monotonic()
            try:
                yield "retry: 1000\n\n"
                while True:
                    visitor.seen = time.monotonic()
                    version = self._takes.version(visitor)
                    if version != seen or changes != visitor.changes:
                        seen, changes = version, visitor.changes
                        event = self._event(sent, self._takes.of(visitor)[1], changes)
                        yield f"data: {json.dumps(event)}\n\n"
                        beat = visitor.seen
                    elif visitor.seen - beat > _BEAT:
                        yield ": here\n\n"
                        beat = visitor.seen
                    await asyncio.sleep(_TICK)
            finally:
                visitor.pages -= 1
                loop = asyncio.get_running_loop()
                loop.call_later(_AWAY_SECONDS, self._left, visitor)
                loop.call_later(KEPT_SECONDS + 1, self._visitors.sweep)

        return StreamingResponse(stream(), media_type="text/event-stream")

    @staticmethod
    def _event(sent: dict[str, dict[str, object]], takes: list[Take], changes: int) -> dict[str, object]:
        """What a page does not know yet; `sent` is brought up to date."""
        now = {take.id: take.record() for take in takes}
        changed = [record for take_id, record in now.items() if sent.get(take_id) != record]
        gone = [take_id for take_id in sent if take_id not in now]
        sent.clear()
        sent.update(now)
        return {"takes": changed, "gone": gone, "photos": changes}

    def _left(self, visitor: Visitor) -> None:
        """Draw nothing more for somebody whose last page was closed."""
        if not visitor.pages:
            self._takes.cancel(visitor)


def _page_files() -> dict[str, bytes]:
    folder = resources.files("toonify.serve") / "page"
    return {each.name: each.read_bytes() for each in folder.iterdir() if Path(each.name).suffix in _KINDS}


def _problem(status: HTTPStatus, line: str) -> Response:
    return JSONResponse({"error": line}, status)


def _handled(
    status: HTTPStatus, line: str | None = None, headers: dict[str, str] | None = None
) -> Callable[[Request, Exception], Response]:
    return lambda request, error: JSONResponse({"error": line or str(error)}, status, headers)


_HANDLERS: dict[Any, Any] = {
    UsageError: _handled(HTTPStatus.BAD_REQUEST),
    ImageError: _handled(HTTPStatus.UNPROCESSABLE_ENTITY),
    RefusedError: _handled(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    TimeoutError: _handled(HTTPStatus.REQUEST_TIMEOUT, "too slow; try again", {"Connection": "close"}),
    StyleError: _handled(HTTPStatus.SERVICE_UNAVAILABLE),
    DeviceError: _handled(HTTPStatus.SERVICE_UNAVAILABLE),
    FullError: _handled(HTTPStatus.SERVICE_UNAVAILABLE, "too much is waiting; try again in a moment"),
    OSError: _handled(HTTPStatus.INSUFFICIENT_STORAGE, "the photo could not be stored; is the disk full?"),
    HTTPStatus.NOT_FOUND: _handled(HTTPStatus.NOT_FOUND, "there is nothing here"),
    HTTPStatus.METHOD_NOT_ALLOWED: _handled(HTTPStatus.METHOD_NOT_ALLOWED, "this cannot be done here"),
}


async def _read_json(request: Request, kind: Any) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UsageError("the request is not JSON")
    data = await read_body(request, _MOST_JSON)
    if data is None:
        raise RefusedError(f"over {_MOST_JSON >> 10} KB, which no request needs")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"the request cannot be read: {error}") from error


async def _store(request: Request, path: Path) -> None:
    """Write a body to a file that is not there yet. Raises RefusedError, TimeoutError, ClientDisconnect, OSError."""
    began, size, waiting = time.monotonic(), 0, bytearray()
    parts = request.stream()
    with path.open("xb") as file:
        while True:
            async with asyncio.timeout(STALL_SECONDS):
                part = await anext(parts, None)
            if part is None:
                break
            size += len(part)
            waiting += part
            seconds = time.monotonic() - began
            if size > MOST_BYTES:
                raise RefusedError(f"more than {MOST_BYTES >> 20} MB, which no photo needs")
            if seconds > _GRACE and size < _SLOWEST * seconds:
                raise TimeoutError
            if len(waiting) > 1 << 20:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        file.write(waiting)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _side(request: Request) -> int | None:
    """How large a picture is to be shown; None: at its full size. Raises UsageError."""
    text = request.query_params.get("side", "768")
    if text == "full":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 16 <= int(text) <= LARGEST_PREVIEW):
        raise UsageError(f"side: give a number of pixels from 16 to {LARGEST_PREVIEW}, or full")
    return int(text)


def _rank(request: Request) -> int:
    """How urgent it is: 0 is what somebody looks at now. Raises UsageError."""
    text = request.query_params.get("rank", "1")
    if text not in ("0", "1", "2"):
        raise UsageError("rank: give 0, 1 or 2")
    return int(text)


def _attachment(name: str) -> str:
    """RFC 6266: a name in ASCII for old browsers, and the real one."""
    plain = name.encode("ascii", "replace").decode().replace('"', "_").replace("\\", "_").replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
