//! udp:// in every mode.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod listen_support;

use listen_support::{Listener, PATIENCE};
use tokio::net::UdpSocket;

async fn peer(listener: &Listener) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .connect(("127.0.0.1", listener.port()))
        .await
        .unwrap();
    socket
}

async fn expect(socket: &UdpSocket, wanted: &[u8]) {
    let mut buffer = vec![0; 70_000];
    let received = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await;
    let count = received.expect("a datagram").unwrap();
    assert_eq!(&buffer[..count], wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_is_a_datagram_for_each() {
    let listener = Listener::start(&["--echo", "--prefix", "> ", "udp://:0"]).await;
    let socket = peer(&listener).await;
    for payload in [&b"one"[..], b"", b"\xff\n", &[b'x'; 60_000]] {
        socket.send(payload).await.unwrap();
        expect(&socket, &[b"> ", payload].concat()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_answers_each_datagram() {
    let listener = Listener::start(&["--greet", "hello", "udp://:0"]).await;
    let socket = peer(&listener).await;
    for _ in 0..2 {
        socket.send(b"?").await.unwrap();
        expect(&socket, b"hello").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printing_server_adds_nothing() {
    let listener = Listener::start(&["--print", "udp://:0"]).await;
    let socket = peer(&listener).await;
    socket.send(b"one").await.unwrap();
    listener.stdout.until("one").await;
    socket.send(b"two\n").await.unwrap();
    listener.stdout.until("onetwo\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_to_all_who_were_heard() {
    let listener = Listener::start(&["udp://:0"]).await;
    let (ana, bo) = (peer(&listener).await, peer(&listener).await);
    ana.send(b"hi\n").await.unwrap();
    listener.stdout.until("[1] hi\n").await;
    bo.send(b"ho").await.unwrap();
    listener.stdout.until("[2] ho\n").await;
    listener.type_in("typed\n");
    expect(&ana, b"typed").await;
    expect(&bo, b"typed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_talk_to_each_other() {
    let listener = Listener::start(&["--chat", "-v", "udp://:0"]).await;
    let (ana, bo) = (peer(&listener).await, peer(&listener).await);
    ana.send(b"is anybody here?").await.unwrap();
    listener.stderr.until("* [1]").await;
    bo.send(b"yes\n").await.unwrap();
    expect(&ana, b"client-2: yes").await;
    ana.send(b"good").await.unwrap();
    expect(&bo, b"client-1: good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_for_each_datagram() {
    let listener = Listener::start(&["--exec", "tr a-z A-Z", "udp://:0"]).await;
    let socket = peer(&listener).await;
    for (payload, reply) in [(&b"one"[..], &b"ONE"[..]), (b"two\n", b"TWO\n")] {
        socket.send(payload).await.unwrap();
        expect(&socket, reply).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_after_the_first_datagram() {
    let listener = Listener::start(&["--once", "--echo", "udp://localhost:0"]).await;
    let socket = peer(&listener).await;
    socket.send(b"only").await.unwrap();
    expect(&socket, b"only").await;
    assert_eq!(listener.ended().await, Ok(()));
}
