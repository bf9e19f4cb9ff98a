"""Serve the built pages to a browser on this machine, and say where.

    python tools/serve.py

The pages also open without a server, as files. Only this machine can reach the server.
"""

import contextlib
import functools
import os
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SITE = Path(__file__).resolve().parent.parent / "_build" / "html"
PORT = 8000


class Server(ThreadingHTTPServer):
    # On Windows, two servers could else share a port without notice.
    allow_reuse_address = os.name != "nt"


@contextlib.contextmanager
def in_background(handler):
    """Serve with a handler at a free port, and yield the address, without a slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def serve(site=SITE, port=PORT):
    """Serve the folder `site` at `port`, or at another one if that is taken."""
    if not (site / "index.html").is_file():
        sys.exit("There are no pages yet: run make book")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=site)
    try:
        server = Server(("127.0.0.1", port), handler)
    except OSError as error:
        print(f"Port {port} is taken ({error.strerror}); here is another.")
        server = Server(("127.0.0.1", 0), handler)
    with server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    serve()
