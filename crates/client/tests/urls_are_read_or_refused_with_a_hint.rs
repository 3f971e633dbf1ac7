//! Every URL is either understood or refused with a sentence that shows a right one. How URLs are read in general is tested in taut-dial.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_client::{Scheme, Url};

fn read(url: &str) -> Url {
    url.parse().unwrap()
}

fn refused(url: &str) -> String {
    url.parse::<Url>().unwrap_err().to_string()
}

#[test]
fn http_and_ws_mean_the_socket_of_the_server() {
    for (text, port, target, shown) in [
        (
            "http://127.0.0.1:8080",
            8080,
            "/ws",
            "http://127.0.0.1:8080",
        ),
        ("ws://127.0.0.1:8080/ws", 8080, "/ws", "ws://127.0.0.1:8080"),
        ("HTTP://localhost/", 8080, "/ws", "http://localhost:8080"),
        (
            "http://example.com/chat/",
            80,
            "/chat/ws",
            "http://example.com:80/chat",
        ),
        ("https://example.com", 443, "/ws", "https://example.com:443"),
        (
            "wss://example.com/a/ws",
            443,
            "/a/ws",
            "wss://example.com:443/a",
        ),
    ] {
        let url = read(text);
        let place = url.place();
        assert_eq!(
            (place.port, place.target.as_str()),
            (port, target),
            "{text}"
        );
        assert_eq!(url.to_string(), shown, "{text}");
    }
}

#[test]
fn lines_go_over_tcp_tls_and_unix_sockets() {
    for (text, scheme) in [
        ("tcp://[::1]:7000", Scheme::Tcp),
        ("tls://example.com:7000", Scheme::Tls),
        ("unix:/run/taut.sock", Scheme::Unix),
        ("unix:@taut", Scheme::Unix),
    ] {
        assert_eq!(read(text).scheme(), scheme);
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn other_schemes_and_no_scheme_show_a_right_url() {
    assert!(refused("localhost:8080").contains("http://localhost:8080"));
    assert!(refused("mqtt://localhost:1883").contains("tcp://localhost:1883"));
    assert!(refused("udp://localhost:8080").contains("tcp://localhost:8080"));
    assert!(refused("tcp://sensors").contains("needs a port"));
}

#[test]
fn a_url_that_names_a_room_says_so() {
    let text = refused("https://localhost:8080/r/lobby");
    assert!(
        text.contains("names a room") && text.contains("https://localhost:8080,"),
        "{text}"
    );
    assert!(refused("tcp://localhost:8080/lobby").contains("no paths"));
}

#[test]
fn a_server_has_no_query() {
    assert!(refused("http://localhost/?a=b").contains("query"));
}

#[test]
fn a_password_is_for_a_proxy_before_the_server_and_shown_nowhere() {
    let url = read("wss://ana:s3cret@example.com");
    assert!(url.place().authorization().is_some());
    assert!(!format!("{url} {url:?}").contains("s3cret"), "{url:?}");
    let text = refused("wss://ana:s3cret@example.com/r/a");
    assert!(!text.contains("s3cret"), "{text}");
}
