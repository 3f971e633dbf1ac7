//! A URL is read as it is meant; one that cannot be used is refused with what is wrong and with one that can.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use taut_dial::{Proxy, ProxyKind, Scheme, Url};

fn read(url: &str) -> Url {
    url.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn reason(url: &str) -> String {
    url.parse::<Url>().unwrap_err().reason
}

#[test]
fn every_scheme_is_read_with_its_default_port() {
    let cases = [
        ("tcp://localhost:9000", Scheme::Tcp, "localhost", 9000, ""),
        ("TCP://[::1]:9000/", Scheme::Tcp, "::1", 9000, ""),
        ("tls://example.org:443", Scheme::Tls, "example.org", 443, ""),
        ("udp://10.0.0.1:53", Scheme::Udp, "10.0.0.1", 53, ""),
        ("ws://example.org", Scheme::Ws, "example.org", 80, "/"),
        (
            "wss://example.org/a?b",
            Scheme::Wss,
            "example.org",
            443,
            "/a?b",
        ),
        ("http://localhost", Scheme::Http, "localhost", 8080, "/"),
        ("ws://127.0.0.1?x=1", Scheme::Ws, "127.0.0.1", 8080, "/?x=1"),
        ("https://localhost", Scheme::Https, "localhost", 443, "/"),
        ("http://h:81/p#part", Scheme::Http, "h", 81, "/p"),
        (
            "tcp://[fe80::1%25eth0]:1",
            Scheme::Tcp,
            "fe80::1%eth0",
            1,
            "",
        ),
    ];
    for (text, scheme, host, port, target) in cases {
        let url = read(text);
        assert_eq!(
            (url.scheme, url.host.as_str(), url.port, url.target.as_str()),
            (scheme, host, port, target),
            "{text}"
        );
    }
}

#[test]
fn unix_sockets_are_paths_or_abstract_names() {
    for (text, path) in [
        ("unix:/run/a.sock", "/run/a.sock"),
        ("unix:a.sock", "a.sock"),
        ("unix:./@a", "./@a"),
        ("unix:///run/a.sock", "/run/a.sock"),
        ("unix:@taut", "@taut"),
    ] {
        assert_eq!(read(text).path, Path::new(path), "{text}");
        assert_eq!(read(text).scheme, Scheme::Unix);
    }
    assert!(reason("unix:").contains("unix:/run/taut.sock"));
    assert!(reason("unix://run/a").contains("unix:///run/a"));
    assert!(reason(&format!("unix:/{}", "a".repeat(200))).contains("107"));
}

#[test]
fn what_is_wrong_is_said_with_a_right_one() {
    for (text, expected) in [
        ("localhost:8080", "ws://localhost:8080 for a WebSocket"),
        ("8080", "tcp://localhost:8080"),
        (":9000", "udp://localhost:9000"),
        ("example.org", "http://example.org:8080"),
        ("/run/a.sock", "unix:/run/a.sock"),
        ("ws:localhost", "write ws://localhost"),
        ("htpp://h/a", "did you mean http://h?"),
        ("wsss://h", "did you mean wss://h?"),
        ("ssl://h:1", "did you mean tls://h:1?"),
        ("upd://h:1", "did you mean udp://h:1?"),
        ("ftp://h:1", "tcp://, tls://, udp://"),
        ("gopher://h", "tcp://, tls://, udp://"),
        (
            "tcp://h",
            "tcp:// needs a port; write for example tcp://h:9000",
        ),
        ("tls://[::1]", "tls://[::1]:443"),
        (
            "tcp://:9000",
            "names no host; write for example tcp://localhost:9000",
        ),
        ("ws://", "names no host"),
        ("tcp://::1:9000", "brackets"),
        ("tcp://[::1", "not closed"),
        ("tcp://[localhost]:1", "not an IPv6 address"),
        ("tcp://h:99999", "`99999` is not a port"),
        ("tcp://h:+1", "`+1` is not a port"),
        ("tcp://h:0", "`0` is not a port"),
        ("tcp://h:1/room", "has no paths; write tcp://h:1"),
        ("tcp://u:p@h:1", "has no user names"),
        ("ws://h/a#b", "%23"),
        ("ws://bücher.example", "xn--"),
        ("ws://a b/", "holds ` `"),
        ("ws://h\n/", "control character"),
        ("", "it is empty"),
    ] {
        let reason = reason(text);
        assert!(reason.contains(expected), "{text}: {reason}");
    }
}

#[test]
fn what_cannot_stand_in_a_request_is_encoded() {
    assert_eq!(
        read("ws://h/r/münchen süd").target,
        "/r/m%C3%BCnchen%20s%C3%BCd"
    );
    assert_eq!(read("ws://h/a%20b?c=\"d\"").target, "/a%20b?c=%22d%22");
}

#[test]
fn user_and_password_become_a_header_and_are_shown_nowhere() {
    let url = read("wss://ana:s%40cret@example.org/x");
    assert_eq!(url.userinfo.as_deref(), Some("ana:s@cret"));
    assert_eq!(
        url.authorization().as_deref(),
        Some("Basic YW5hOnNAY3JldA==")
    );
    for shown in [url.to_string(), format!("{url:?}")] {
        assert!(shown.contains("ana:***@example.org:443/x"), "{shown}");
    }
    let error = "wsss://ana:s@cret@example.org/a@b"
        .parse::<Url>()
        .unwrap_err()
        .to_string();
    assert!(!error.contains("cret"), "{error}");
    assert!(error.contains("ana:***@example.org/a@b"), "{error}");
}

#[test]
fn the_host_field_leaves_out_what_is_understood() {
    assert_eq!(read("ws://example.org").host_field(), "example.org");
    assert_eq!(read("wss://example.org:80").host_field(), "example.org:80");
    assert_eq!(read("http://localhost").host_field(), "localhost:8080");
    assert_eq!(read("http://[fe80::1%eth0]").host_field(), "[fe80::1]");
    assert_eq!(read("http://[::1]:81").host_field(), "[::1]:81");
}

#[test]
fn terminal_escapes_in_a_url_are_shown_not_obeyed() {
    let error = "ws://\u{1b}[2J".parse::<Url>().unwrap_err().to_string();
    assert!(
        !error.contains('\u{1b}') && error.contains("\\x1b"),
        "{error}"
    );
}

#[test]
fn proxies_are_read_or_refused() {
    let proxy: Proxy = "socks5h://ana:pw@localhost".parse().unwrap();
    assert_eq!((proxy.kind, proxy.port), (ProxyKind::Socks5h, 1080));
    assert_eq!(proxy.credentials, Some(("ana".into(), "pw".into())));
    assert_eq!(proxy.to_string(), "socks5h://ana:***@localhost:1080");
    assert!(!format!("{proxy:?}").contains("pw"));
    for (text, expected) in [
        ("localhost:3128", "http://proxy:3128"),
        ("http://proxy", "http://proxy:3128"),
        ("https://proxy:1", "http://"),
        ("socks4://h:1", "socks5://"),
        ("ftp://h:1", "socks5h://"),
        ("http://h:1/path", "no path"),
    ] {
        let error = text.parse::<Proxy>().unwrap_err();
        assert!(error.reason.contains(expected), "{text}: {error}");
    }
}
