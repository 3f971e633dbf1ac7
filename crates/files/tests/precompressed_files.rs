//! A file that lies compressed beside the file answers for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use site::{Site, get, get_if, text};
use taut_files::{Answer, Conditions, Files, Settings};

fn site() -> Site {
    let site = Site::with("app.js", "plain");
    site.write("app.js.br", "as br").write("app.js.gz", "as gz");
    site
}

fn accepting(files: &Files, codings: &str) -> Answer {
    let conditions = Conditions {
        accept_encoding: Some(codings.to_owned()),
        ..Conditions::default()
    };
    get_if(files, "/app.js", &conditions)
}

#[test]
fn the_client_s_weights_decide() {
    let site = site();
    let files = site.open();
    for (codings, coding, content) in [
        ("gzip, deflate, br, zstd", Some("br"), "as br"),
        ("gzip", Some("gzip"), "as gz"),
        ("br;q=0.1, gzip;q=0.2", Some("gzip"), "as gz"),
        ("zstd, gzip;q=0.5", Some("gzip"), "as gz"),
        ("*", Some("br"), "as br"),
        ("zstd", None, "plain"),
        ("br;q=0, *;q=0", None, "plain"),
        ("identity, br;q=0.9", None, "plain"),
        ("", None, "plain"),
    ] {
        let answer = accepting(&files, codings);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("Content-Encoding"), coding, "{codings}");
        assert_eq!(text(&answer), content, "{codings}");
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
    }
    assert_eq!(text(&get(&files, "/app.js")), "plain");
}

#[test]
fn each_coding_has_its_own_etag_and_ranges() {
    let site = site();
    let files = site.open();
    let etag = |codings| accepting(&files, codings).field("ETag").unwrap().to_owned();
    let (plain, br, gzip) = (etag(""), etag("br"), etag("gzip"));
    assert!(plain != br && br != gzip && plain != gzip);
    let conditions = Conditions {
        accept_encoding: Some("br".to_owned()),
        range: Some("bytes=3-".to_owned()),
        if_range: Some(br.clone()),
        ..Conditions::default()
    };
    let answer = get_if(&files, "/app.js", &conditions);
    assert_eq!((answer.status, text(&answer).as_str()), (206, "br"));
    let other = Conditions {
        if_range: Some(plain),
        ..conditions.clone()
    };
    assert_eq!(get_if(&files, "/app.js", &other).status, 200);
    let same = Conditions {
        if_none_match: Some(br),
        ..conditions
    };
    assert_eq!(get_if(&files, "/app.js", &same).status, 304);
}

#[test]
fn what_lies_beside_counts_only_if_the_file_itself_is_there_and_it_is_a_file() {
    let site = site();
    let files = site.open();
    std::fs::remove_file(site.path("app.js.br")).unwrap();
    site.folder_at("app.js.br");
    assert_eq!(text(&accepting(&files, "br")), "plain");
    std::fs::remove_file(site.path("app.js")).unwrap();
    assert_eq!(accepting(&files, "gzip").status, 404);
}

#[test]
fn the_index_may_be_compressed_too() {
    let site = Site::with("index.html", "plain");
    site.write("index.html.zst", "as zstd");
    let conditions = Conditions {
        accept_encoding: Some("zstd".to_owned()),
        ..Conditions::default()
    };
    let answer = get_if(&site.open(), "/", &conditions);
    assert_eq!(answer.field("Content-Encoding"), Some("zstd"));
    assert_eq!(text(&answer), "as zstd");
}

#[test]
fn a_compressed_file_by_its_own_name_is_a_plain_file() {
    let site = site();
    let answer = get(&site.open(), "/app.js.gz");
    assert_eq!(answer.field("Content-Encoding"), None);
    assert_eq!(answer.field("Content-Type"), Some("application/gzip"));
}

#[test]
fn it_can_be_switched_off() {
    let site = site();
    let files = site.open_with(Settings {
        precompressed: false,
        ..Settings::default()
    });
    let answer = accepting(&files, "br");
    assert_eq!(text(&answer), "plain");
    assert_eq!(answer.field("Vary"), None);
}
