"""A proxy that falls silent: connections stay open and nothing comes through, as behind a balancer after a failover."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

SOCKET_NAME: Final = ".s.PGSQL.5432"
_CHUNK: Final = 2**16


class SilentProxy:
    """Passes bytes between clients of a socket in *folder* and a server, until it falls silent.

    Args:
        folder: Where clients find its socket, under the name that libpq looks for.
        server: The server's socket: a path, or host and port.
    """

    def __init__(self, folder: Path, server: str | tuple[str, int]) -> None:
        self._server = server
        self._partner: dict[socket.socket, socket.socket | None] = {}
        self._clients: set[socket.socket] = set()
        self._silent: set[socket.socket] = set()
        self._is_silent = self._is_deaf = self._is_over = False
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET_NAME))
        self._listener.listen()
        self._waker, self._woken = socket.socketpair()
        for source in (self._listener, self._woken):
            self._selector.register(source, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def fall_silent(self, *, is_deaf: bool = True) -> None:
        """Pass on no answers any more, to no connection; what clients send neither, unless it is not *deaf*."""
        with self._lock:
            self._is_silent, self._is_deaf = True, is_deaf
            self._silent |= self._clients

    def answer_again(self) -> None:
        """Serve new connections; those of before stay silent for ever."""
        with self._lock:
            self._is_silent = False

    @contextlib.contextmanager
    def silenced(self) -> Iterator[None]:
        """Be silent as long as the block lasts."""
        self.fall_silent()
        try:
            yield
        finally:
            self.answer_again()

    def _run(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select():
                with self._lock:
                    self._serve(key.fileobj)

    def _serve(self, source: object) -> None:
        if source is self._listener:
            self._accept()
        elif isinstance(source, socket.socket) and source in self._partner:
            self._pass_on(source)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = None
        if not self._is_silent:
            is_path = isinstance(self._server, str)
            server = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
            server.connect(self._server)
            self._selector.register(server, selectors.EVENT_READ)
            self._partner[server] = client
        self._clients.add(client)
        if self._is_silent:
            self._silent.add(client)
        self._partner[client] = server
        self._selector.register(client, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        partner = self._partner[source]
        is_client = source in self._clients
        is_silent = (source if is_client else partner) in self._silent
        data = b""
        with contextlib.suppress(OSError):
            data = source.recv(_CHUNK)
        if not data:
            self._close(source)
            if partner is not None:
                self._close(partner)  # else the server would keep the locks of a session that nobody has
        elif partner is not None and not (is_silent and (self._is_deaf or not is_client)):
            with contextlib.suppress(OSError):
                partner.sendall(data)

    def _close(self, gone: socket.socket) -> None:
        if self._partner.pop(gone, gone) is not gone:
            self._selector.unregister(gone)
            gone.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._waker.send(b".")
        self._thread.join()
        for each in [*self._partner, self._listener, self._waker, self._woken]:
            each.close()
        self._selector.close()
