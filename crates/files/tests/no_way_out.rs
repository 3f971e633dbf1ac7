//! No path leaves the folder, and none shows what is hidden.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use site::{Site, get, listing, text};
use taut_files::{Files, Settings};

/// Secrets beside the site, hidden files in it, and links to all of them.
fn site() -> Site {
    let site = Site::with("index.html", "top");
    let outer = site.outer.clone();
    fs::write(outer.join("secret"), "OUTSIDE").unwrap();
    fs::create_dir(outer.join("site-too")).unwrap();
    fs::write(outer.join("site-too/secret"), "OUTSIDE").unwrap();
    fs::write(outer.join("site-too/index.html"), "OUTSIDE").unwrap();
    site.write("open/a", "inside")
        .write("open/b/c", "inside")
        .write(".env", "HIDDEN")
        .write(".git/config", "HIDDEN")
        .write("open/.env", "HIDDEN")
        .write("open/.well-known/x", "HIDDEN")
        .write(".well-known/acme", "inside")
        .write(".well-known/.env", "HIDDEN")
        .write("%2e%2e", "inside")
        .link("up", "..")
        .link("open/up", "../..")
        .link("out", "../secret")
        .link("out-absolute", outer.join("secret"))
        .link("too", outer.join("site-too"))
        .link("too-relative", "../site-too")
        .link("far", "/")
        .link("self", "/proc/self/root")
        .link("cwd", "/proc/self/cwd")
        .link("circle", "circle")
        .link("chain", "chain2")
        .link("chain2", "open/up/secret")
        .link("in", "open/a")
        .link("in-folder", "open/../open/b")
        .link("in-absolute", site.path("open/a"))
        .link("in-absolute-folder", site.path("open"))
        .link("out-and-in", "../site/open/a")
        .link("top", site.folder());
    site
}

fn both(settings: &Settings) -> (Site, [Files; 2]) {
    let site = site();
    let files = site.open_both(settings);
    (site, files)
}

#[test]
fn paths_that_climb_find_nothing() {
    let (_site, files) = both(&listing());
    for path in [
        "/../secret",
        "/..",
        "/../",
        "/.",
        "/./index.html",
        "/open/../../secret",
        "/open/../index.html",
        "/%2e%2e/secret",
        "/%2E%2e/secret",
        "/.%2e/secret",
        "/..%2fsecret",
        "/..%2Fsecret",
        "/open%2f..%2f..%2fsecret",
        "/open%2fa",
        "/..%5csecret",
        "/..\\secret",
        "/open\\..\\..\\secret",
        "/..%00/secret",
        "/index.html%00.png",
        "/..;/secret",
        "/%252e%252e/secret",
        "/%c0%ae%c0%ae/secret",
        "/\u{ff0e}\u{ff0e}/secret",
        "//secret",
        "//../secret",
        "/open//a",
        "/etc/passwd",
        "//etc/passwd",
    ] {
        for files in &files {
            let answer = get(files, path);
            assert_eq!(answer.status, 404, "{path}: {}", text(&answer));
            assert!(answer.fault.is_none(), "{path}: {:?}", answer.fault);
        }
    }
}

#[test]
fn links_that_lead_out_are_not_there() {
    let (_site, files) = both(&listing());
    for path in [
        "/up/",
        "/up",
        "/up/secret",
        "/up/site/index.html",
        "/open/up/secret",
        "/out",
        "/out-absolute",
        "/too/",
        "/too/secret",
        "/too-relative/secret",
        "/far/etc/passwd",
        "/self/etc/passwd",
        "/cwd/Cargo.toml",
        "/circle",
        "/circle/a",
        "/chain",
    ] {
        for files in &files {
            let answer = get(files, path);
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.fault.is_none(), "{path}: {:?}", answer.fault);
        }
    }
}

#[test]
fn links_that_stay_inside_are_followed() {
    let (_site, files) = both(&Settings::default());
    for path in [
        "/in",
        "/in-folder/c",
        "/in-absolute",
        "/in-absolute-folder/a",
        "/in-absolute-folder/b/c",
        "/out-and-in",
        "/top/open/a",
        "/top/top/in",
    ] {
        for files in &files {
            assert_eq!(text(&get(files, path)), "inside", "{path}");
        }
    }
}

#[test]
fn a_folder_that_was_opened_by_a_link_is_the_folder_behind_it() {
    let site = site();
    symlink(site.folder(), site.outer.join("alias")).unwrap();
    let files = Files::open(&site.outer.join("alias"), Settings::default()).unwrap();
    assert_eq!(text(&get(&files, "/in-absolute")), "inside");
    assert_eq!(get(&files, "/up/secret").status, 404);
}

#[test]
fn hidden_names_are_not_there_but_well_known_ones() {
    let (_site, files) = both(&listing());
    for files in &files {
        for path in [
            "/.env",
            "/%2eenv",
            "/.git/config",
            "/.git/",
            "/.git",
            "/open/.env",
            "/open/.well-known/x",
            "/.well-known/.env",
            "/top/.env",
        ] {
            assert_eq!(get(files, path).status, 404, "{path}");
        }
        assert_eq!(text(&get(files, "/.well-known/acme")), "inside");
    }
}

#[test]
fn hidden_names_are_there_if_they_may_be_seen() {
    let (_site, files) = both(&Settings {
        hidden: true,
        ..Settings::default()
    });
    for files in &files {
        assert_eq!(text(&get(files, "/.env")), "HIDDEN");
        assert_eq!(text(&get(files, "/.git/config")), "HIDDEN");
        assert_eq!(get(files, "/../secret").status, 404);
    }
}

#[test]
fn a_folder_that_becomes_a_link_meanwhile_does_not_lead_out() {
    let site = site();
    fs::create_dir(site.path("flip")).unwrap();
    fs::write(site.path("flip/secret"), "inside").unwrap();
    symlink(site.outer.join("site-too"), site.path("flip-link")).unwrap();
    let files = site.open_both(&listing());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                fs::rename(site.path("flip"), site.path("flip-kept")).unwrap();
                fs::rename(site.path("flip-link"), site.path("flip")).unwrap();
                fs::rename(site.path("flip"), site.path("flip-link")).unwrap();
                fs::rename(site.path("flip-kept"), site.path("flip")).unwrap();
            }
        });
        for _ in 0..3_000 {
            for files in &files {
                for path in ["/flip/secret", "/flip/"] {
                    let said = text(&get(files, path));
                    assert!(!said.contains("OUTSIDE"), "{path}");
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

fn segment() -> impl Strategy<Value = String> {
    let known = [
        "..",
        ".",
        "",
        "%2e%2e",
        "%2E.",
        "..%2f",
        "%2f",
        "..%5c",
        "\\",
        "%00",
        "%252e%252e",
        "secret",
        "site",
        "site-too",
        "open",
        "a",
        "b",
        "c",
        ".env",
        "%2eenv",
        ".git",
        "config",
        ".well-known",
        "index.html",
        "up",
        "out",
        "out-absolute",
        "too",
        "too-relative",
        "far",
        "self",
        "cwd",
        "circle",
        "chain",
        "in",
        "in-folder",
        "in-absolute",
        "in-absolute-folder",
        "out-and-in",
        "top",
        "etc",
        "passwd",
        "tmp",
        "proc",
    ];
    prop_oneof![
        9 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_path_leaves_the_folder(paths in prop::collection::vec(prop::collection::vec(segment(), 0..8), 40)) {
        let site = site();
        let shown = Settings { hidden: true, ..listing() };
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let passwd = passwd.lines().next().unwrap_or("no such line");
        for segments in &paths {
            let path = format!("/{}", segments.join("/"));
            for settings in [listing(), shown.clone()] {
                for files in site.open_both(&settings) {
                    let answer = get(&files, &path);
                    prop_assert!([200, 301, 400, 404].contains(&answer.status), "{path}: {}", answer.status);
                    let said = text(&answer);
                    prop_assert!(!said.contains("OUTSIDE") && !said.contains(passwd), "{path}: {said}");
                    prop_assert!(!said.contains(">secret<") && !said.contains(">etc/<"), "{path}: {said}");
                    if !settings.hidden {
                        prop_assert!(!said.contains("HIDDEN") && !said.contains(".env"), "{path}: {said}");
                    }
                    if let Some(location) = answer.field("Location") {
                        prop_assert!(location.starts_with('/') && location.ends_with('/'));
                        prop_assert!(!location.contains("//") && !location.contains('\\') && !location.contains(".."), "{location}");
                    }
                }
            }
        }
    }

    #[test]
    fn both_ways_of_opening_agree(segments in prop::collection::vec(segment(), 0..6)) {
        let (_site, [guarded, plain]) = both(&listing());
        let path = format!("/{}", segments.join("/"));
        let (one, other) = (get(&guarded, &path), get(&plain, &path));
        prop_assert_eq!(one.status, other.status, "{}", path);
        prop_assert_eq!(text(&one), text(&other), "{}", path);
        prop_assert_eq!(one.fields, other.fields, "{}", path);
    }
}
