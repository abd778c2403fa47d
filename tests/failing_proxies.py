"""Proxies before the tests' real servers: they pass everything through, but for one call."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_NOT_FORWARDED = frozenset({"connection", "expect", "keep-alive", "transfer-encoding"})
_QUIT = b"\x01"
RESET = "the connection is reset before the server has the call"
NO_ANSWER = "the server does what it is told, but its answer is lost"
CUT = "the answer ends in the middle"
_STATUS = {
    "SlowDown": 503,
    "InternalError": 500,
    "ExpiredToken": 400,
    "AccessDenied": 403,
    "InvalidObjectState": 403,
    "KMS.DisabledException": 400,
    "NoSuchBucket": 404,
    "NotImplemented": 501,
}


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong: ``kind`` is an S3 error code, RESET, NO_ANSWER or CUT.

    ``when`` says with which calls, from their number, which counts from 1, whether the same call
    came before, and the call itself.
    """

    kind: str
    when: Callable[[int, bool, str], bool]


class Proxy:
    """The calls that came through, and the fault that some of them meet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.plan(None)

    def plan(self, fault: Fault | None) -> None:
        """From now on; calls are counted from 1 again."""
        with self._lock:
            self.calls: list[str] = []
            self.failed: list[str] = []
            self.fault = fault

    def next_fault(self, call: str) -> str | None:
        """Notes a call, and says what goes wrong with it."""
        with self._lock:
            came_before = call in self.calls
            self.calls.append(call)
            if self.fault is None or not self.fault.when(len(self.calls), came_before, call):
                return None
            self.failed.append(call)
            return self.fault.kind


def nth(kind: str, number: int) -> Fault:
    """The n-th call fails."""
    return Fault(kind, lambda at, *_: at == number)


def from_nth(kind: str, number: int) -> Fault:
    """The n-th call fails, and each one after it."""
    return Fault(kind, lambda at, *_: at >= number)


def each_first(kind: str) -> Fault:
    """Every call fails when it is made for the first time."""
    return Fault(kind, lambda _, came_before, __: not came_before)


def each(kind: str, words: str) -> Fault:
    """Each call with these words fails."""
    return Fault(kind, lambda _number, _came_before, call: words in call)


@contextlib.contextmanager
def s3_proxy(endpoint: str) -> Iterator[tuple[str, Proxy]]:
    """The URL of a proxy before the S3 server at ``endpoint``. Each HTTP request is a call.

    Requests pass with the headers that the client has signed, so their signatures stay valid.
    """
    proxy = Proxy()
    handler = type("Handler", (_S3Call,), {"proxy": proxy, "upstream": urlsplit(endpoint).netloc})
    with _QuietServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", proxy
        server.shutdown()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away is none of the test's business."""


class _S3Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body would wait until its head is acknowledged
    proxy: Proxy
    upstream: str

    def forward(self) -> None:
        """Passes the request on and its answer back, unless this call is to fail."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.proxy.next_fault(f"{self.command} {self.path}")
        if kind in _STATUS:
            self.refuse(kind)
        elif kind == RESET:
            self.cut()
        else:
            answer, content = self.ask(body)
            if kind == NO_ANSWER:
                self.cut()
            else:
                self.pass_back(answer, content, is_cut=kind == CUT)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

    def refuse(self, code: str) -> None:
        """Answers with an error of S3's."""
        error = f"<Error><Code>{code}</Code><Message>planned</Message></Error>".encode()
        self.send_response(_STATUS[code])
        self.send_header("Content-Length", str(len(error)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else error)

    def ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        """The server's answer to the request as it came."""
        server = http.client.HTTPConnection(self.upstream, timeout=30)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _NOT_FORWARDED:
                server.putheader(name, value)
        server.endheaders(body or None)
        answer = server.getresponse()
        content = answer.read()
        server.close()
        return answer, content

    def pass_back(self, answer: http.client.HTTPResponse, content: bytes, *, is_cut: bool) -> None:
        """The answer, or its first half."""
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in {*_NOT_FORWARDED, "content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") or str(len(content))
        self.send_header("Content-Length", length)
        if not is_cut:
            self.end_headers()
            self.wfile.write(content)
        elif content:
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.cut()
        else:
            self.wfile.write(b"HTTP/1.1 20")
            self.cut()

    def cut(self) -> None:
        """Ends the connection as a broken network does."""
        self.wfile.flush()
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)  # closing sends a reset
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def database_proxy(port: int) -> Iterator[tuple[int, Proxy]]:
    """The port of a proxy before the MySQL or MariaDB server at ``port``.

    Each command packet is a call, such as ``select 1``; a fault ends its connection, before the
    server has it (RESET) or before the client has its answer (NO_ANSWER).
    """
    proxy = Proxy()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:  # the test is over
                    return
                server = socket.create_connection(("127.0.0.1", port))
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link = _Link(proxy, client, server)
                threading.Thread(target=link.pass_commands, daemon=True).start()
                threading.Thread(target=link.pass_answers, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], proxy
        listener.shutdown(socket.SHUT_RDWR)


class _Link:
    """One connection of a client to the database, through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.swallows = False

    def pass_commands(self) -> None:
        """Client to server, packet by packet: a command begins a new sequence of packets."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                head = self._exactly(4)
                length = int.from_bytes(head[:3], "little")
                packet = self._exactly(length)
                kind = None
                if head[3] == 0 and packet[:1] != _QUIT:
                    kind = self.proxy.next_fault(packet[1:].decode(errors="replace"))
                if kind == RESET:
                    break
                self.swallows = kind == NO_ANSWER
                self.server.sendall(head + packet)
        self.close()
        self.client.close()

    def pass_answers(self) -> None:
        """Server to client."""
        with contextlib.suppress(OSError):
            while data := self.server.recv(1 << 16):
                if self.swallows:
                    break
                self.client.sendall(data)
        self.close()
        self.server.close()

    def close(self) -> None:
        """Ends both sides."""
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.client.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return data
