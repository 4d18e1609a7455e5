"""Git on loopback for tests: repositories with what one pushes to them, and a smart HTTP server that may fail."""

import base64
import os
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from pulumi_pinata.sandbox.openbao_files import free_port


def git_environment(home: Path) -> dict[str, str]:
    """An environment in which nothing of this machine's git configuration counts."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SSH_"))}
    who = {
        f"GIT_{role}_{what[0]}": what[1]
        for role in ("AUTHOR", "COMMITTER")
        for what in (("NAME", "t"), ("EMAIL", "t@t.invalid"))
    }
    return {
        **kept,
        **who,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "xdg"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }


class Repository:
    """A repository that a server serves, at `path`, by way of a work tree in which the commits are made."""

    def __init__(self, path: Path, *, format: str = "sha1") -> None:
        self.path = path
        self.work = path.parent / f"{path.name}-work"
        self.env = git_environment(path.parent / "home")
        options = ("--quiet", "--initial-branch=main", f"--object-format={format}")
        self._git("init", *options, "--bare", str(path), cwd=path.parent)
        self._git("init", *options, str(self.work), cwd=path.parent)

    def git(self, *arguments: str, given: bytes = b"") -> str:
        """Run git in the work tree."""
        return self._git(*arguments, cwd=self.work, given=given)

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes] | None = None, *options: str) -> str:
        """Commit all that is in the work tree; its id."""
        self.write(files or {})
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message=t", *options)
        return self.git("rev-parse", "HEAD")

    def push(self, files: Mapping[str, str | bytes] | None = None, *options: str, to: str = "main") -> str:
        """Commit and push; its id."""
        commit = self.commit(files, *options)
        self.publish(commit, to=to)
        return commit

    def publish(self, commit: str, *, to: str = "main") -> None:
        """Make `to` of the served repository be `commit`."""
        ref = to if to.startswith("refs/") else f"refs/heads/{to}"
        self.git("push", "--quiet", "--force", str(self.path), f"{commit}:{ref}")

    def delete(self, ref: str) -> None:
        self.git("push", "--quiet", str(self.path), f":{ref}")

    def tree(self, *entries: tuple[str, str, str]) -> str:
        """Publish a commit of just these entries (mode, blob, name) as `main`, whatever git thinks of them; its id."""
        raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(blob) for mode, blob, name in entries)
        tree = self.git("hash-object", "--literally", "-t", "tree", "-w", "--stdin", given=raw)
        commit = self.git("commit-tree", "-m", "t", tree)
        self.publish(commit)
        return commit

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", given=content)

    def _git(self, *arguments: str, cwd: Path, given: bytes = b"") -> str:
        ran = subprocess.run(["git", *arguments], cwd=cwd, env=self.env, input=given, capture_output=True)
        assert 0 == ran.returncode, ran.stderr.decode()
        return ran.stdout.decode().strip()


@dataclass
class Request:
    """What a client asked, and the login that it gave: user:password."""

    line: str
    login: str | None


@dataclass
class GitServer:
    """`with GitServer(folder)` serves the repositories below `folder` by `git http-backend`, on a port that stays.

    `login` (user:password) is wanted if set; `status` answers everything; `redirect` sends clients elsewhere;
    while `hanging` is set, requests are taken and not answered.
    """

    folder: Path
    login: str | None = None
    status: int | None = None
    redirect: str | None = None
    hanging: threading.Event = field(default_factory=threading.Event)
    requests: list[Request] = field(default_factory=list)

    _http: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None
    _port: int = field(default_factory=free_port)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "GitServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def repository(self, name: str, *, format: str = "sha1") -> Repository:
        """A new, empty repository; served at `url(name)`."""
        return Repository(self.folder / name, format=format)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._port}/{name}"

    def start(self) -> None:
        """Serve, on the same port as before."""
        self._stopping.clear()
        self._http = _Http(("127.0.0.1", self._port), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections, end requests under way."""
        http, self._http = self._http, None
        self._stopping.set()
        if http and self._thread:
            http.shutdown()
            http.server_close()
            self._thread.join()

    def hang(self) -> None:
        """Wait as long as is told."""
        while self.hanging.is_set() and not self._stopping.is_set():
            self._stopping.wait(0.02)


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorization = self.headers.get("Authorization", "")
            login = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else None
            server.requests.append(Request(f"{self.command} {self.path}", login))
            server.hang()
            if server.redirect:
                self._refuse(301, Location=server.redirect + self.path)
            elif server.status:
                self._refuse(server.status)
            elif server.login and login != server.login:
                self._refuse(401, **{"WWW-Authenticate": 'Basic realm="t"'})
            else:
                self._serve()

        do_POST = do_GET

        def _refuse(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"hello\n")

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            env = git_environment(server.folder / "home") | {
                "GIT_PROJECT_ROOT": str(server.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
            }
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            ran = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True)
            head, _, content = ran.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Tests look at `requests`."""

    return Handler
