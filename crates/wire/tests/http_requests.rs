//! What an accepted request says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod http_heads;

use http_heads::{accepted, refused, with_fields};
use taut_wire::http::{self, Framing, Limits, Method, Version};

#[test]
fn a_head_is_taken_apart_and_its_length_told() {
    let input = b"POST /r/a%20b?as=ana&event=move HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: 5\r\nContent-Type:\ttext/plain \r\n\r\nhello";
    let (request, length) = http::parse_request(input, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(&input[length..], b"hello");
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.path, "/r/a%20b");
    assert_eq!(request.query, Some("as=ana&event=move"));
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.framing, Framing::Length(5));
    let host = request.host.unwrap();
    assert_eq!((host.name, host.port), ("localhost", Some(8080)));
    assert_eq!(host.to_string(), "localhost:8080");
    assert_eq!(request.headers.first("content-TYPE"), Some("text/plain"));
    assert_eq!(request.headers.len(), 3);
    assert!(request.keep_alive);
    assert!(!request.expects_continue);
}

#[test]
fn a_second_request_begins_where_the_first_ends() {
    let input = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n";
    let (first, length) = http::parse_request(input, &Limits::default())
        .unwrap()
        .unwrap();
    let (second, rest) = http::parse_request(&input[length..], &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!((first.path, second.path), ("/a", "/b"));
    assert_eq!(length + rest, input.len());
}

#[test]
fn empty_lines_before_a_request_belong_to_its_length() {
    let input = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (request, length) = http::parse_request(input, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!((request.path, length), ("/", input.len()));
}

#[test]
fn methods_are_known_by_their_exact_name() {
    for (name, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("PATCH", Method::Patch),
        ("DELETE", Method::Delete),
        ("OPTIONS", Method::Options),
        ("TRACE", Method::Trace),
        ("get", Method::Other("get")),
        ("PROPFIND", Method::Other("PROPFIND")),
    ] {
        let head = format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(accepted(head.as_bytes()).method, method);
        assert_eq!(method.name(), name);
    }
    let longest = "M".repeat(http::METHOD_BYTES_MAX);
    accepted(format!("{longest} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let longer = format!("{longest}M / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(refused(longer.as_bytes()).status, 501);
}

#[test]
fn options_may_ask_about_the_server_as_a_whole() {
    let request = accepted(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((request.path, request.query), ("*", None));
}

#[test]
fn a_query_begins_at_the_first_question_mark() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/?", "/", Some("")),
        ("/r/x?a=/?&b", "/r/x", Some("a=/?&b")),
        ("//r//x", "//r//x", None),
        ("/r/x?who", "/r/x", Some("who")),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let request = accepted(head.as_bytes());
        assert_eq!((request.path, request.query), (path, query), "{target}");
    }
}

#[test]
fn a_later_minor_version_is_taken_as_the_one_we_know() {
    let request = accepted(b"GET / HTTP/1.7\r\nHost: a\r\n\r\n");
    assert_eq!(request.version, Version::Http11);
}

#[test]
fn a_connection_is_kept_as_the_version_and_the_client_say() {
    for (version, fields, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(accepted(head.as_bytes()).keep_alive, keep_alive, "{head:?}");
    }
}

#[test]
fn an_expectation_counts_where_a_body_follows() {
    for (version, fields, expects) in [
        ("1.1", "Expect: 100-continue\r\nContent-Length: 5\r\n", true),
        (
            "1.1",
            "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n",
            true,
        ),
        ("1.1", "Expect: 100-continue\r\n", false),
        (
            "1.1",
            "Expect: 100-continue\r\nContent-Length: 0\r\n",
            false,
        ),
        (
            "1.0",
            "Expect: 100-continue\r\nContent-Length: 5\r\n",
            false,
        ),
        ("1.0", "Expect: a-pony\r\n", false),
    ] {
        let head = format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(
            accepted(head.as_bytes()).expects_continue,
            expects,
            "{head:?}"
        );
    }
}

#[test]
fn http_1_0_needs_no_host() {
    assert_eq!(accepted(b"GET / HTTP/1.0\r\n\r\n").host, None);
    let absolute = accepted(b"GET http://a:81/ HTTP/1.0\r\n\r\n").host.unwrap();
    assert_eq!((absolute.name, absolute.port), ("a", Some(81)));
}

#[test]
fn hosts_are_names_and_addresses() {
    for (value, name, port) in [
        ("a", "a", None),
        ("a:", "a", None),
        ("A-1.example.", "A-1.example.", None),
        ("127.0.0.1:8080", "127.0.0.1", Some(8080)),
        ("[::1]", "[::1]", None),
        ("[2001:db8::1]:443", "[2001:db8::1]", Some(443)),
        ("a_b", "a_b", None),
    ] {
        let head = with_fields(&format!("Host: {value}\r\n"));
        let host = accepted(&head).host.unwrap();
        assert_eq!((host.name, host.port), (name, port));
    }
}

#[test]
fn an_origin_is_a_hosts_own_when_name_and_port_are() {
    let head = with_fields("Host: a.example\r\n");
    let host = accepted(&head).host.unwrap();
    assert!(host.is("a.example", "http://a.example"));
    assert!(host.is("A.EXAMPLE:80", "http://A.EXAMPLE:80"));
    assert!(host.is("a.example:443", "https://a.example:443"));
    assert!(host.is("a.example", "https://a.example"));
    assert!(!host.is("a.example:443", "http://a.example:443"));
    assert!(!host.is("b.example", "http://b.example"));
    assert!(!host.is("", "http://"));
}

#[test]
fn token_lists_are_read_over_all_their_fields() {
    let head = with_fields(
        "Host: a\r\nConnection: keep-alive\r\nUpgrade: h2c ,\tWebSocket\r\nConnection: , Upgrade\r\n",
    );
    let request = accepted(&head);
    assert!(request.headers.has_token("connection", "upgrade"));
    assert!(request.headers.has_token("upgrade", "websocket"));
    assert!(!request.headers.has_token("upgrade", "socket"));
    assert!(!request.headers.has_token("x", ""));
    let connections: Vec<_> = request.headers.all("CONNECTION").collect();
    assert_eq!(connections, ["keep-alive", ", Upgrade"]);
}

#[test]
fn a_value_that_is_not_utf8_is_there_but_equals_nothing() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://\xe4\r\nX: caf\xc3\xa9\r\n\r\n";
    let request = accepted(head);
    assert_eq!(request.headers.first("origin"), Some("\u{fffd}"));
    assert_eq!(request.headers.first("x"), Some("café"));
    let (_, bytes) = request.headers.iter().nth(1).unwrap();
    assert_eq!(bytes, b"http://\xe4");
}

#[test]
fn empty_values_are_values() {
    let head = with_fields("Host: a\r\nX:\r\nY: \t \r\n");
    let request = accepted(&head);
    assert_eq!(request.headers.first("x"), Some(""));
    assert_eq!(request.headers.first("y"), Some(""));
    assert_eq!(request.headers.first("z"), None);
}
