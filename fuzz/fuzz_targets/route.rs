//! Whatever a request asks for is understood or refused; nothing of a page of somebody else, or for a name that is not ours, is understood as anything but a
//! refusal; and no refusal holds what would end a line of a log or a head.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taut_gate::http::{Action, EngineDialect, EnginePath, Site, route, shown};
use taut_wire::http::{Limits, Method, Request, parse_request};

const LIMITS: Limits = Limits {
    head_bytes_max: 8 << 10,
    headers_max: 32,
    target_bytes_max: 4 << 10,
};

fuzz_target!(|data: &[u8]| {
    let site = site();
    if let Ok(Some((request, _))) = parse_request(data, &LIMITS) {
        check(&request, &site);
    }
    // A target alone, as each method, so that little is spent on the rest of a head.
    let (Ok(target), false) = (std::str::from_utf8(data), data.is_empty()) else {
        return;
    };
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        for more in ["", "Accept: text/event-stream\r\n", "Origin: https://evil.example\r\n"] {
            let head = format!("{method} /{target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
            if let Ok(Some((request, _))) = parse_request(head.as_bytes(), &LIMITS) {
                check(&request, &site);
            }
        }
    }
});

fn site() -> Site {
    Site {
        loopback_only: true,
        hosts: Vec::new(),
        origins: Vec::new(),
        wait_ms_max: 60_000,
        compression: true,
        files: true,
        engines: vec![EnginePath {
            path: "/socket.io/".into(),
            dialect: EngineDialect::SocketIo,
        }],
        cookie: "taut_token".into(),
    }
}

fn check(request: &Request<'_>, site: &Site) {
    let _ = shown(request, site);
    let action = route(request, site).action;
    let is_foreign = |text: &str| text.starts_with("https://evil.example");
    let foreign_page = request.headers.first("origin").is_some_and(is_foreign);
    let foreign_name = request
        .host
        .as_ref()
        .is_some_and(|host| host.name.ends_with("evil.example"));
    match action {
        Action::Refuse(problem) => {
            assert!((400..600).contains(&problem.status));
            assert!(!problem.code.is_empty() && !problem.detail.is_empty());
        }
        Action::RefuseEngine(_) => {}
        action => {
            assert!(!foreign_page && !foreign_name, "{action:?}");
            let reads = matches!(request.method, Method::Get | Method::Head | Method::Options);
            let changes = matches!(action, Action::Publish(_) | Action::Delete(_));
            assert!(!(reads && changes), "{action:?}");
        }
    }
}
