"""The page of a survey, and a collector of answers, on a machine of one's own.

Answers are only ever added: one file for each visitor's token, written whole or not at all, and never replaced.
"""

import os
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from toonify.errors import AnswersError, UsageError, describe, display
from toonify.pages.server import Server, listen, read_body, say
from toonify.study.answers import MAX_BYTES, parse_answers, read_answers
from toonify.study.page import PAGE_NAME, collecting_page, read_plan
from toonify.study.plan import Plan
from toonify.system.files import write_atomically


class Collector:
    """What the server knows: the page that it shows, the folder that answers go to, and how to tell its operator.

    Raises UsageError if there is no survey, or the folder cannot serve.
    """

    def __init__(self, survey: Path, answers: Path, tell: Callable[[str], None]) -> None:
        page = survey / PAGE_NAME if survey.is_dir() else survey
        if page.exists() and not page.is_file():  # to open a pipe would wait for ever
            raise UsageError(f"{display(page)} is not a regular file; build a survey with `toonify study build`")
        try:
            text = page.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{display(page)}: {error.strerror}; build it with `toonify study build`") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{display(page)} is no survey by `toonify study build`") from error
        self.plan: Plan = read_plan(text, page)
        self.page = collecting_page(text).encode()
        self.folder = answers
        self._tell = tell
        if answers.resolve().is_relative_to(page.parent.resolve()):
            raise UsageError(
                f"--answers {display(answers)} lies in the survey's folder, which is published; give another"
            )
        try:
            answers.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--answers {display(answers)}: {error.strerror}; give another folder") from error
        if not os.access(answers, os.W_OK):
            raise UsageError(f"--answers {display(answers)} cannot be written to; give another folder")

    def count(self) -> int:
        """How many answers there are."""
        return sum(1 for path in self.folder.glob("*.json") if len(path.stem) == 32)

    def store(self, data: bytes) -> tuple[HTTPStatus, str]:
        """Keep a visitor's answers, unless they are wrong or there already; the status and a line for the visitor."""
        try:
            answers = parse_answers(data, self.plan)
        except AnswersError as error:
            return HTTPStatus.BAD_REQUEST, str(error)
        path = self.folder / f"{answers.token}.json"  # 32 hex digits: no other place can be meant
        try:
            write_atomically(path, data)
        except FileExistsError:
            try:
                same = read_answers(path, self.plan) == answers
            except AnswersError:
                same = False
            if same:
                return HTTPStatus.OK, "these answers have arrived already"
            return HTTPStatus.CONFLICT, "other answers of this visitor have arrived already"
        except OSError as error:
            self._tell(f"error: answers could not be saved: {describe(error)}")
            return HTTPStatus.INTERNAL_SERVER_ERROR, f"that computer could not save them ({error.strerror})"
        self._tell(f"{self.count()} collected")
        return HTTPStatus.CREATED, "thank you"


def start_server(collector: Collector, host: str, port: int) -> Server:
    """A server that listens already; `serve_forever` answers. Raises UsageError if it cannot have the address."""
    return Server(_Survey(collector), listen(host, port))


class _Survey:
    """The application: the page, and answers to it."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        methods = {"/": ("GET", "HEAD"), "/answers": ("POST",)}.get(request.url.path)
        if methods is None or request.scope["query_string"]:
            return say(HTTPStatus.NOT_FOUND)
        if request.method not in methods:
            return say(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(methods)})
        if request.method != "POST":
            return Response(self._collector.page, media_type="text/html")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return say(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers are application/json")
        if "content-length" not in request.headers:
            return say(HTTPStatus.LENGTH_REQUIRED)
        data = await read_body(request, MAX_BYTES)
        if data is None:
            return say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"over {MAX_BYTES} bytes, which no answers are")
        return say(*await run_in_threadpool(self._collector.store, data))
