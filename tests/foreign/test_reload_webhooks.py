"""A reload of webhooks: they come, change and go while the server runs, and no question is lost by it."""

import hashlib
import hmac
import threading
import time

import pytest

from peers import Native, request
from test_reload import Reloading
from test_webhooks import SECRET, Application, assert_alive, connect_config

OTHER = "another secret of the application, long enough"
NO = (403, "sold out")


@pytest.fixture
def applications():
    running = [Application(), Application()]
    yield running
    for one in running:
        one.close()


def signed_by(application):
    """Notes with which of the two secrets each call was signed."""
    seen = []

    def check(header, body):
        seconds, digits = header.removeprefix("t=").split(",v1=")
        for secret in (SECRET, OTHER):
            if hmac.new(secret.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest() == digits:
                seen.append(secret)

    application.check = check
    return seen


def hook(application, secret=SECRET, match="orders/**", **more):
    lines = {"event": '"publish"', "match": f'"{match}"', "url": f'"http://127.0.0.1:{application.port}/"', "secret": f'"{secret}"', **more}
    return "[[webhooks]]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())


def said(server, room="orders/1"):
    response = request(server, "POST", f"/r/{room}", [("Content-Type", "text/plain")], "x")
    return response.status, response.json().get("detail", "") if response.status != 200 else ""


@pytest.mark.parametrize("cores", [1, 2])
def test_webhooks_come_change_and_go(start, applications, cores):
    one, other = applications
    of_one, of_other = signed_by(one), signed_by(other)
    for application in applications:
        application.decide = lambda asked: (200, b'{"allow":false,"reason":"sold out"}', 0)
    begin = f"cores = {cores}\n"
    running = Reloading(start, begin)
    server = running.server
    assert said(server)[0] == 200
    assert "reloaded: webhooks: 1 came, 0 went" in running.reload(begin + hook(one))
    assert said(server) == NO and said(server, "free")[0] == 200
    assert "webhooks:" not in running.reload(begin + hook(one))
    assert said(server) == NO
    assert "reloaded: webhooks: 1 came, 1 went" in running.reload(begin + hook(one, OTHER))
    assert said(server) == NO
    assert of_one == [SECRET, SECRET, OTHER]
    assert "reloaded: webhooks: 1 came, 0 went" in running.reload(begin + hook(other, match="orders/2") + hook(one, OTHER))
    assert said(server, "orders/2") == NO and said(server, "orders/1") == NO
    assert (len(of_one), of_other) == (4, [SECRET])
    assert "reloaded: webhooks: another order" in running.reload(begin + hook(one, OTHER) + hook(other, match="orders/2"))
    assert said(server, "orders/2") == NO and (len(of_one), len(of_other)) == (5, 1)
    assert "reloaded: webhooks: 0 came, 2 went" in running.reload(begin)
    assert said(server, "orders/1")[0] == 200 and said(server, "orders/2")[0] == 200
    assert (len(of_one), len(of_other)) == (5, 1)
    assert "not reloaded" in running.reload(begin + hook(one, "short"))
    assert said(server)[0] == 200
    server.assert_healthy()


def test_who_is_asked_about_while_a_webhook_goes_gets_its_answer_and_the_order_stays(start, applications, closing):
    one, other = applications
    one.decide = lambda asked: (200, b'{"allow":true,"messages":[{"data":"old"}]}', 1.0)
    other.decide = lambda asked: (200, b'{"allow":true,"messages":[{"data":"new"}]}', 0)
    running = Reloading(start, "cores = 2\n" + hook(one))
    speaker, reader = closing.add(Native(running.server)), closing.add(Native(running.server))
    assert reader.ask(join="orders/1")["ok"] == "join"
    for number in range(3):
        speaker.send(publish="orders/1", data=number, ref=number)
    time.sleep(0.3)
    running.reload("cores = 2\n" + hook(other))
    assert [speaker.unit()["ref"] for _ in range(3)] == [0, 1, 2]
    assert [reader.message()["data"] for _ in range(3)] == ["old", "new", "new"]
    running.server.assert_healthy()


def test_a_reload_loses_no_message_that_is_asked_about(start, applications):
    one, other = applications
    running = Reloading(start, "cores = 2\n" + hook(one))
    statuses, over = [], threading.Event()

    def publish():
        while not over.is_set():
            statuses.append(said(running.server)[0])

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for step in range(6):
        running.reload("cores = 2\n" + hook([other, one][step % 2]))
    over.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200} and one.asked and other.asked
    running.server.assert_healthy()


def test_the_one_for_newcomers_changes_at_once_but_comes_and_goes_with_a_restart(start, applications):
    one, other = applications
    one.decide = lambda asked: (200, b'{"allow":false,"reason":"the one"}', 0)
    other.decide = lambda asked: (200, b'{"allow":false,"reason":"the other"}', 0)
    running = Reloading(start, connect_config(one.port))
    assert said(running.server) == (403, "the one")
    assert "reloaded: webhooks: 1 came, 1 went" in running.reload(connect_config(other.port))
    assert said(running.server) == (403, "the other")
    for _ in range(2):
        assert "needs a restart: webhooks: the one for `connect` went" in running.reload("cores = 2\n")
        assert said(running.server) == (403, "the other")
    assert "webhooks" not in running.reload(connect_config(other.port))
    assert_alive(running.server)
    open_one = Reloading(start, "cores = 2\n")
    assert "needs a restart: webhooks: the one for `connect` came" in open_one.reload(connect_config(one.port))
    assert said(open_one.server)[0] == 200
    open_one.server.assert_healthy()
