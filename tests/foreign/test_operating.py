"""docs/operating.md is true: its configuration is one, and its series are all that there are."""

import re
import subprocess
import time

import pytest

from peers import Raw, post, request
from taut import BINARY, ROOT, free_port
from test_metrics import Metrics
from test_tls import certificates  # noqa: F401
from test_webhooks import application  # noqa: F401
from test_webhooks import config as webhook

PAGE = (ROOT / "docs" / "operating.md").read_text()


@pytest.fixture
def installed(tmp_path, certificates):  # noqa: F811
    """The page's configuration, with this machine's folders and ports."""
    config = re.search(r"<!-- file: taut.toml -->\n```toml\n(.*?)```", PAGE, re.S).group(1)
    ports = free_port(), free_port()
    for name, text in {"secret": "s" * 64, "webhook.secret": "w" * 64, "metrics.key": "m" * 64, "chain.pem": (certificates.folder / "good.pem").read_text(), "key.pem": (certificates.folder / "good.key").read_text()}.items():
        (tmp_path / name).write_text(text + "\n")
    config = config.replace("/etc/taut", str(tmp_path)).replace("/var/lib/taut", str(tmp_path / "rooms"))
    config = config.replace('"[::]:443"', f'"127.0.0.2:{free_port()}"').replace("0.0.0.0:443", f"127.0.0.1:{ports[0]}").replace("0.0.0.0:9464", f"127.0.0.1:{ports[1]}")
    (tmp_path / "taut.toml").write_text(config)
    return tmp_path / "taut.toml", ports


def test_its_configuration_is_one(installed):
    path, (port, metrics_port) = installed
    checked = subprocess.run([str(BINARY), "check", "--config", str(path)], capture_output=True, text=True, timeout=20)
    assert checked.returncode == 0, checked
    for secret in ("s" * 64, "w" * 64, "m" * 64):
        assert secret not in checked.stdout + checked.stderr
    token = subprocess.run([str(BINARY), "token", "mint", "--config", str(path), "--user", "ana"], capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    log = (path.parent / "log").open("wb")
    server = subprocess.Popen([str(BINARY), "serve", "--config", str(path)], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 20
        while "others can reach it" not in (said := (path.parent / "log").read_text()) and "this machine only" not in said:
            assert time.monotonic() < deadline and server.poll() is None, said
            time.sleep(0.05)
        assert "[auth] says who may do what here" in said

        def curl(*arguments):
            done = subprocess.run(["curl", "-sk", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", *arguments], capture_output=True, text=True, timeout=20)
            return done.stdout

        url = f"https://127.0.0.1:{port}/r"
        assert curl(f"{url}/news/1", "-H", "Host: chat.example") == "200"
        assert curl(f"{url}/chat/1") == "401"
        assert curl(f"{url}/users/ana/x", "-d", "x", "-H", f"Authorization: Bearer {token}") == "200"
        assert curl(f"{url}/users/bob/x", "-d", "x", "-H", f"Authorization: Bearer {token}") == "403"
        assert curl(f"{url.replace('https', 'http')}/news/1") == "307"
        assert curl(f"http://127.0.0.1:{metrics_port}/metrics") == "401"
        assert curl(f"http://127.0.0.1:{metrics_port}/metrics", "-H", "Authorization: Bearer " + "m" * 64) == "200"
    finally:
        server.terminate()
        assert server.wait(40) == 0


def test_every_series_is_told_of_and_none_that_is_not_there(start, certificates, application):  # noqa: F811
    pair = ["--tls-cert", str(certificates.folder / "good.pem"), "--tls-key", str(certificates.folder / "good.key")]
    metrics = Metrics(start, webhook(application.port, 1), pair)
    post(metrics.server, "orders/1", "x")
    request(metrics.server, "GET", "/nothing")
    families = set(re.findall(r"^# TYPE (\w+) ", metrics.text(), re.M))
    told = set(re.findall(r"`(taut_\w+)", PAGE.split("## Watching it")[1].split("## At three")[0]))
    assert families - told == {name for name in families if name.startswith("process_")}
    assert told <= families


def test_bytes_count_by_the_door_that_they_spoke_and_those_of_tls_by_none(start, certificates, room):  # noqa: F811
    pair = ["--tls-cert", str(certificates.folder / "good.pem"), "--tls-key", str(certificates.folder / "good.key")]
    metrics = Metrics(start, arguments=pair)
    url = f"https://127.0.0.1:{metrics.server.port}/r/{room}"
    for version in ("--http1.1", "--http2"):
        subprocess.run(["curl", "-sSk", version, "-d", "x", url], check=True, capture_output=True, timeout=20)
    metrics.until(2, "taut_messages_received_total", door="http")
    metrics.until(2, "taut_tls_handshakes_total", outcome="done")
    metrics.until(2, "taut_closes_total", door="http", reason="bye")
    assert metrics.value("taut_received_bytes_total", door="none") == 0
    assert metrics.value("taut_received_bytes_total", door="http") > 200
    before = metrics.value("taut_tls_handshakes_total", outcome="failed")
    Raw(metrics.server).send(b"\x16\x03\x01\x00\x05hello").rest()
    metrics.until(before + 1, "taut_tls_handshakes_total", outcome="failed")
    failed = [line for line in metrics.server.said().splitlines() if "a TLS handshake failed" in line]
    assert failed and all("peer=" in line and "127.0.0.1:" in line for line in failed)
