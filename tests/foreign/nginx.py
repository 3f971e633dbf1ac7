"""nginx from Debian, as a peer of `taut connect` and in front of `taut serve` and `taut listen`."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from taut import free_port

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        default_type text/plain;
        location /proxy/ {{
            proxy_pass http://127.0.0.1:{proxy_to}/;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $http_host;
            proxy_buffering off;
        }}
        location /to-room/ {{
            proxy_pass http://127.0.0.1:{proxy_to}/r/;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host 127.0.0.1:{proxy_to};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffering off;
        }}
        location /moved {{ return 301 /a.txt; }}
        location /refused {{ return 403; }}
        location /post {{ return 200 "$request_method $content_type $http_x_test"; }}
    }}
}}
"""


class Nginx:
    """Serves `folder/files`, and hands `/proxy/` to the server at the port `proxy_to`."""

    def __init__(self, folder, proxy_to=1):
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if not program:
            pytest.skip("nginx is not installed")
        self.folder = Path(folder) / "nginx"
        (self.folder / "files").mkdir(parents=True)
        self.port = free_port()
        configuration = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        configuration.write_text(CONFIGURATION.format(folder=self.folder, port=self.port, proxy_to=proxy_to, user=user))
        self.process = subprocess.Popen([program, "-p", str(self.folder), "-c", str(configuration), "-e", str(self.folder / "error.log")], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.process.stderr.read()
                time.sleep(0.02)

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    def write(self, name, data):
        (self.folder / "files" / name).write_bytes(data)

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()
