//! http:// in every mode.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod listen_support;

use listen_support::Listener;
use taut_console::Code;

const GET: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &[u8] =
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/x-test\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_prints_requests_and_answers_what_came() {
    let listener = Listener::start(&["http://:0"]).await;
    let answer = listener.ask(POST).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.ends_with(
            ", 3 header fields, a body of 5 bytes (text/x-test)
"
        ),
        "{answer}"
    );
    listener
        .stdout
        .until("[1] POST / HTTP/1.1\n[1] Host: x\n")
        .await;
    listener.stdout.until("[1] \n[1] hello\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_lines_go_to_event_streams() {
    let listener = Listener::start(&["http://:0"]).await;
    let mut peer = listener.connect().await;
    peer.send(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    let head = peer.until("\r\n\r\n").await;
    assert!(
        head.contains("Content-Type: text/event-stream\r\n"),
        "{head}"
    );
    listener.type_in("one\ntwo\n");
    peer.until("data: one\n\n").await;
    peer.until("data: two\n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_may_follow_each_other_and_head_has_no_body() {
    let listener = Listener::start(&["--greet", "<p>hi", "http://:0"]).await;
    let mut peer = listener.connect().await;
    for _ in 0..2 {
        peer.send(GET).await;
        let head = peer.until("\r\n\r\n").await;
        assert!(
            head.contains("Content-Type: text/html; charset=utf-8\r\nX-Content-Type"),
            "{head}"
        );
        peer.expect(b"<p>hi").await;
    }
    peer.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n")
        .await;
    let head = peer.until("\r\n\r\n").await;
    assert!(head.contains("Content-Length: 5\r\n"), "{head}");
    let last = peer.rest().await;
    assert!(
        last.starts_with("HTTP/1.1 200 ") && last.contains("Connection: close\r\n"),
        "{last}"
    );
    assert!(last.ends_with("\r\n\r\n<p>hi"), "{last}");
    let answer = listener.ask(POST).await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.contains("Allow: GET, HEAD\r\n"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_is_the_body_with_its_type() {
    let listener = Listener::start(&["--echo", "http://:0"]).await;
    let answer = listener.ask(POST).await;
    assert!(
        answer.contains("Content-Type: text/x-test\r\n") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );
    let mut peer = listener.connect().await;
    peer.send(
        b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    assert!(
        peer.until("\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 100 Continue\r\n")
    );
    peer.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await;
    peer.until("\r\n\r\nabcde").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printing_server_prints_requests_as_they_came() {
    let listener = Listener::start(&["--print", "http://:0"]).await;
    listener.ask(POST).await;
    let whole = format!("{}\n", std::str::from_utf8(POST).unwrap());
    listener.stdout.until(&whole).await;
    assert_eq!(listener.stdout.text(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_answers_nearly_as_cgi() {
    let listener = Listener::start(&[
        "--exec",
        "echo $REQUEST_METHOD $PATH_INFO $QUERY_STRING $HTTP_X_A; cat",
        "http://:0",
    ])
    .await;
    let answer = listener
        .ask(b"POST /a%20b?c HTTP/1.0\r\nX-A: 1\r\nContent-Length: 4\r\n\r\nbody")
        .await;
    assert!(answer.ends_with("\r\n\r\nPOST /a b c 1\nbody"), "{answer}");
    let script = "printf 'Status: 418\\nContent-Type: text/html\\n\\n<p>'; sleep 0.05; printf tea";
    let listener = Listener::start(&["--exec", script, "http://:0"]).await;
    let answer = listener.ask(GET).await;
    assert!(
        answer.starts_with("HTTP/1.1 418 ") && answer.contains("Content-Type: text/html\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("3\r\n<p>\r\n3\r\ntea\r\n0\r\n\r\n"),
        "{answer}"
    );
    let listener = Listener::start(&["--exec", "exit 1", "http://:0"]).await;
    assert!(listener.ask(GET).await.starts_with("HTTP/1.1 500 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_folder_are_served_and_nothing_else() {
    let folder = std::env::temp_dir().join(format!("taut-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("index.html"), "<h1>here").unwrap();
    std::fs::write(folder.join("big"), vec![b'x'; 1_000_000]).unwrap();
    let path = folder.to_str().unwrap();
    let listener = Listener::start(&["--files", path, "http://:0"]).await;
    let index = listener.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        index.contains("Content-Type: text/html") && index.ends_with("\r\n\r\n<h1>here"),
        "{index}"
    );
    let big = listener.ask(b"GET /big HTTP/1.0\r\n\r\n").await;
    assert_eq!(big.len() - big.find("\r\n\r\n").unwrap() - 4, 1_000_000);
    let part = listener
        .ask(b"GET /big HTTP/1.1\r\nHost: x\r\nRange: bytes=5-7\r\n\r\n")
        .await;
    assert!(
        part.starts_with("HTTP/1.1 206 ") && part.ends_with("\r\n\r\nxxx"),
        "{part}"
    );
    for outside in ["/../x", "/..%2fx", "/%2e%2e/x", "/.hidden", "/none"] {
        let request = format!("GET {outside} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = listener.ask(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{outside}: {answer}");
    }
    let (code, text) = Listener::refused(&["--files", "/no/such/folder", "http://:0"]).await;
    assert!(
        code == Code::Usage && text.contains("/no/such/folder"),
        "{text}"
    );
    let (code, text) = Listener::refused(&["--files", path, "tcp://:0"]).await;
    assert!(code == Code::Usage && text.contains("http://"), "{text}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_to_a_chat_goes_to_the_streams() {
    let listener = Listener::start(&["--chat", "http://:0"]).await;
    let mut stream = listener.connect().await;
    stream
        .send(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    stream.until(":\n\n").await;
    let answer = listener.ask(POST).await;
    assert!(answer.ends_with("1 heard it\n"), "{answer}");
    stream.until("data: client-2: hello\n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_http_is_refused_and_told() {
    let listener = Listener::start(&["--echo", "--max-bytes", "4", "http://:0"]).await;
    let cases: [(&[u8], &str); 6] = [
        (b"hello\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
        (POST, "413"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", "413"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
    ];
    for (request, status) in cases {
        let answer = listener.ask(request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
    }
    listener.stderr.until("larger than this server takes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_too_many_is_told_so() {
    let listener = Listener::start(&["--max-clients", "1", "--echo", "http://:0"]).await;
    let mut first = listener.connect().await;
    first.send(GET).await;
    first.until("\r\n\r\n").await;
    let answer = listener.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_after_the_first_request() {
    let listener = Listener::start(&["--once", "--greet", "hi", "http://:0"]).await;
    let idle = listener.connect().await;
    let answer = listener.ask(GET).await;
    assert!(
        answer.contains("Connection: close\r\n") && answer.ends_with("hi"),
        "{answer}"
    );
    assert_eq!(listener.ended().await, Ok(()));
    drop(idle);
}
