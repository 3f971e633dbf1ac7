//! Every URL is either understood or refused with a sentence that shows a right one.
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
    let url = read("http://127.0.0.1:8080");
    assert_eq!(url.scheme, Scheme::WebSocket);
    assert_eq!(
        (url.host.as_str(), url.port, url.path.as_str()),
        ("127.0.0.1", 8080, "/ws")
    );
    assert_eq!(read("ws://127.0.0.1:8080/ws"), url);
    assert_eq!(read("HTTP://127.0.0.1:8080/"), url);
    assert_eq!(url.to_string(), "http://127.0.0.1:8080");
}

#[test]
fn a_prefix_before_the_server_is_kept() {
    let url = read("http://example.com/chat/");
    assert_eq!((url.port, url.path.as_str()), (80, "/chat/ws"));
    assert_eq!(url.to_string(), "http://example.com:80/chat");
}

#[test]
fn this_machine_without_a_port_means_8080() {
    assert_eq!(read("http://localhost").port, 8080);
    assert_eq!(read("ws://[::1]").port, 8080);
    assert_eq!(read("tcp://sensors").port, 8080);
}

#[test]
fn ipv6_stands_in_brackets() {
    let url = read("tcp://[::1]:7000");
    assert_eq!(
        (url.scheme, url.host.as_str(), url.port),
        (Scheme::Tcp, "::1", 7000)
    );
    assert_eq!(url.authority(), "[::1]:7000");
    assert!(refused("tcp://::1:7000").contains("brackets"));
    assert!(refused("tcp://[::1:7000").contains("not closed"));
    assert!(refused("tcp://[::1]7000").contains(":PORT"));
}

#[test]
fn tls_is_named_as_missing_with_a_url_that_works() {
    let text = refused("https://example.com:8443/x");
    assert!(
        text.contains("no TLS yet") && text.contains("http://example.com:8443"),
        "{text}"
    );
    assert!(refused("wss://example.com").contains("http://example.com"));
    assert!(refused("tls://example.com:1").contains("tcp://example.com:1"));
}

#[test]
fn other_schemes_and_no_scheme_show_a_right_url() {
    assert!(refused("localhost:8080").contains("http://localhost:8080"));
    assert!(refused("ftp://localhost:8080").contains("http://localhost:8080"));
    assert!(refused("mqtt://localhost:1883").contains("tcp://localhost:1883"));
    assert!(refused("").contains("http://localhost:8080"));
}

#[test]
fn a_url_that_names_a_room_says_so() {
    assert!(refused("http://localhost:8080/r/lobby").contains("names a room"));
    assert!(refused("tcp://localhost:8080/lobby").contains("no paths"));
}

#[test]
fn what_is_no_server_is_refused() {
    assert!(refused("http://:8080").contains("no host"));
    assert!(refused("http://localhost:99999").contains("not a port"));
    assert!(refused("http://localhost:0").contains("not a port"));
    assert!(refused("http://ana:pw@localhost").contains("user name"));
    assert!(refused("http://localhost/?a=b").contains("query"));
    assert!(refused("http://local host/").contains("no host"));
    assert!(refused("http://localhost/a b").contains("percent-encoded"));
}
