//! tcp:// and unix: in every mode.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod listen_support;

use listen_support::{Listener, PATIENCE};
use taut_console::Code;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

type Test = tokio::task::JoinHandle<()>;

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_server_sends_bytes_back_as_they_come() {
    let listener = Listener::start(&["--echo", "tcp://:0"]).await;
    let mut peer = listener.connect().await;
    for piece in [&b"without a newline"[..], b"\xff\x00\r\n", b"more"] {
        peer.send(piece).await;
        peer.expect(piece).await;
    }
    peer.finish().await;
    assert_eq!(peer.rest().await, "");
    assert_eq!(listener.stdout.text(), "", "stdout is for what is printed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_is_whole_however_late_it_is_read() {
    let listener = Listener::start(&["--echo", "tcp://:0"]).await;
    let peer = listener.connect().await;
    let (mut reader, mut writer) = peer.0.into_split();
    let sent: Vec<u8> = (0..8_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let copy = sent.clone();
    let writing: Test = tokio::spawn(async move {
        writer.write_all(&copy).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    tokio::time::timeout(PATIENCE, reader.read_to_end(&mut got))
        .await
        .unwrap()
        .unwrap();
    writing.await.unwrap();
    assert!(got == sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_stands_before_each_line_whether_its_end_comes_or_not() {
    let listener = Listener::start(&["--echo", "--prefix", "you: ", "tcp://:0"]).await;
    let mut peer = listener.connect().await;
    peer.send(b"one\r\ntwo\nthr").await;
    peer.expect(b"you: one\r\nyou: two\nyou: thr").await;
    peer.send(b"ee\n").await;
    peer.expect(b"you: ee\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_server_speaks_first_and_closes() {
    let listener = Listener::start(&["--greet", "Hello!", "tcp://:0"]).await;
    assert_eq!(listener.connect().await.rest().await, "Hello!\n");
    let mut talker = listener.connect().await;
    talker.send(&[b'x'; 100_000]).await;
    assert_eq!(
        talker.rest().await,
        "Hello!\n",
        "what a client says does not cost it the greeting"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_before_another_mode_does_not_close() {
    let listener = Listener::start(&["--greet", "Hello!\n", "--echo", "tcp://:0"]).await;
    let mut peer = listener.connect().await;
    peer.expect(b"Hello!\n").await;
    peer.send(b"hi").await;
    peer.expect(b"hi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printing_server_prints_bytes_as_they_are() {
    let listener = Listener::start(&["--print", "tcp://:0"]).await;
    let mut peer = listener.connect().await;
    peer.send(b"no newline").await;
    listener.stdout.until("no newline").await;
    peer.send(b"\x1b[31m\n").await;
    listener.stdout.until("no newline\x1b[31m\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_says_who_sent_what_and_typed_lines_go_to_all() {
    let listener = Listener::start(&["tcp://:0"]).await;
    // Nobody is here yet: what comes from a pipe waits.
    listener.type_in("first\n");
    let mut ana = listener.connect().await;
    ana.expect(b"first\n").await;
    ana.send(b"hi from ana").await;
    listener.stdout.until("[1] hi from ana\n").await;
    let mut bo = listener.connect().await;
    bo.send(b"two\nlines\n").await;
    listener.stdout.until("[2] two\n[2] lines\n").await;
    listener.type_in("to all");
    listener.type_in(" of you\nlast");
    ana.expect(b"to all of you\n").await;
    bo.expect(b"to all of you\n").await;
    let mut listener = listener;
    listener.keys = None;
    bo.expect(b"last\n").await;
    ana.finish().await;
    listener
        .stderr
        .until("[1] is gone: it closed its side (11 bytes in,")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_talk_to_each_other_and_their_escapes_are_shown() {
    let listener = Listener::start(&["--chat", "-v", "tcp://:0"]).await;
    let mut ana = listener.connect().await;
    listener.stderr.until("* [1]").await;
    let mut bo = listener.connect().await;
    listener.stderr.until("* [2]").await;
    ana.send(b"hi \x1b[31m\n").await;
    bo.expect(b"client-1: hi \\x1b[31m\n").await;
    bo.send(b"no newline").await;
    ana.expect(b"client-2: no newline\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_talks_to_each_client() {
    let listener = Listener::start(&["--exec", "tr a-z A-Z", "tcp://:0"]).await;
    assert_eq!(listener.ask(b"shout").await, "SHOUT");
    assert_eq!(listener.ask(b"again").await, "AGAIN");
    let failing = Listener::start(&["--exec", "echo bye; exit 3", "tcp://:0"]).await;
    assert_eq!(failing.connect().await.rest().await, "bye\n");
    failing
        .stderr
        .until("the command ended with exit status: 3")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_with_its_client() {
    let listener = Listener::start(&["--exec", "echo $$; yes", "tcp://:0"]).await;
    let mut peer = listener.connect().await;
    let pid = peer.until("\n").await;
    drop(peer);
    let path = format!("/proc/{}/stat", pid.trim());
    let gone = async {
        // A zombie that nobody has looked at yet has ended too.
        while std::fs::read_to_string(&path).is_ok_and(|stat| !stat.contains(" Z ")) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("it is killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_after_the_first_client() {
    let listener = Listener::start(&["--once", "--print", "tcp://localhost:0"]).await;
    let port = listener.port();
    let mut peer = listener.connect().await;
    peer.send(b"only").await;
    peer.finish().await;
    peer.rest().await;
    let stdout = listener.stdout.clone();
    assert_eq!(listener.ended().await, Ok(()));
    assert_eq!(stdout.text(), "only");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_an_object_for_each_thing_that_happens() {
    let listener = Listener::start(&["--json", "--echo", "tcp://:0"]).await;
    assert_eq!(listener.ask(b"a\x1b\n\xff").await, "a\x1b\n\u{fffd}");
    listener.stdout.until("\"close\"").await;
    let text = listener.stdout.text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with(r#"{"event":"open","client":1,"peer":"127.0.0.1:"#),
        "{text}"
    );
    assert_eq!(
        lines[1],
        r#"{"event":"data","client":1,"text":"a\u001b\n"}"#
    );
    assert_eq!(lines[2], r#"{"event":"data","client":1,"base64":"/w=="}"#);
    assert_eq!(
        lines[3],
        r#"{"event":"close","client":1,"why":"it closed its side","bytes_in":4,"bytes_out":4}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_too_many_is_turned_away() {
    let listener = Listener::start(&["--max-clients", "1", "--echo", "tcp://:0"]).await;
    let mut first = listener.connect().await;
    first.send(b"in").await;
    first.expect(b"in").await;
    let mut second = listener.connect().await;
    assert_eq!(second.rest().await, "");
    listener.stderr.until("turned away").await;
    first.finish().await;
    first.rest().await;
    let back = async {
        loop {
            let mut third = listener.connect().await;
            let mut byte = [0];
            if third.0.write_all(b"x").await.is_ok()
                && matches!(third.0.read(&mut byte).await, Ok(1))
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, back)
        .await
        .expect("there is space again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_survives_a_client_that_does_not_read() {
    let listener = Listener::start(&["--chat", "-v", "tcp://:0"]).await;
    let deaf = listener.connect().await;
    listener.stderr.until("* [1]").await;
    let mut loud = listener.connect().await;
    let flood: Test = tokio::spawn(async move {
        let line = [&[b'x'; 1_000][..], b"\n"].concat();
        for _ in 0..40_000 {
            loud.send(&line).await;
        }
        loud.finish().await;
        loud.rest().await;
    });
    listener
        .stderr
        .until("! [1] does not read what is sent to it: dropped")
        .await;
    tokio::time::timeout(PATIENCE, flood)
        .await
        .expect("it is heard to the end")
        .unwrap();
    drop(deaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_goes_with_its_server_and_a_stale_one_is_replaced() {
    let folder = std::env::temp_dir().join(format!("taut-listen-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("x.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a stale file is left");
    let url = format!("unix:{}", path.display());
    let listener = Listener::start(&["--echo", "--once", &url]).await;
    let (code, text) = Listener::refused(&["--echo", &url]).await;
    assert_eq!(code, Code::Failure);
    assert!(text.contains("another program listens there"), "{text}");
    // Asking whether somebody listens was a client too: the one that --once waited for. So there is a second server.
    assert_eq!(listener.ended().await, Ok(()));
    assert!(!path.exists(), "it is removed");
    let listener = Listener::start(&["--echo", &url]).await;
    let mut peer = UnixStream::connect(&path).await.unwrap();
    peer.write_all(b"hey").await.unwrap();
    let mut got = [0; 3];
    peer.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hey");
    drop(listener);
    std::fs::write(folder.join("file"), "").unwrap();
    let url = format!("unix:{}", folder.join("file").display());
    let (_, text) = Listener::refused(&["--echo", &url]).await;
    assert!(text.contains("no socket"), "{text}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_says_by_whom() {
    let listener = Listener::start(&["--echo", "tcp://:0"]).await;
    let url = format!("tcp://localhost:{}", listener.port());
    let (code, text) = Listener::refused(&["--echo", &url]).await;
    assert_eq!(code, Code::Failure);
    let pid = format!("(pid {})", std::process::id());
    assert!(text.contains(&pid) && text.contains("tcp://:0"), "{text}");
}
