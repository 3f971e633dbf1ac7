//! A folder without an index may be listed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod site;

use site::{Site, get, get_if, listing, text};
use taut_files::{Conditions, LISTING_ENTRIES_MAX, Settings};

fn site() -> Site {
    let site = Site::with("list/b.txt", "12345");
    site.write("list/a & <b>.txt", "x".repeat(1_500))
        .write("list/.env", "HIDDEN")
        .folder_at("list/zoo")
        .link("list/out", "../../outside")
        .link("list/gone", "nothing")
        .link("list/in", "b.txt");
    std::fs::write(site.outer.join("outside"), "OUTSIDE").unwrap();
    site
}

#[test]
fn a_page_lists_folders_first_then_files_by_name() {
    let site = site();
    for files in site.open_both(&listing()) {
        let answer = get(&files, "/list/");
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(answer.field("Vary"), Some("Accept"));
        let page = text(&answer);
        let hrefs: Vec<&str> = page
            .split("href=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(
            hrefs,
            ["../", "zoo/", "a%20%26%20%3Cb%3E.txt", "b.txt", "in"]
        );
        assert!(page.contains(">a &amp; &lt;b&gt;.txt</a><td>1.5 kB<td>06 Nov 1994 08:49"));
        assert!(page.contains("<title>/list</title>"));
    }
}

#[test]
fn a_program_gets_json() {
    let site = site();
    let conditions = Conditions {
        accept: Some("application/json".to_owned()),
        ..Conditions::default()
    };
    let answer = get_if(&site.open_with(listing()), "/list/", &conditions);
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    let entries: serde_json::Value = serde_json::from_str(&text(&answer)).unwrap();
    assert_eq!(entries.as_array().unwrap().len(), 4);
    assert_eq!(entries[0]["type"], "directory");
    assert_eq!(entries[0].get("size"), None);
    assert_eq!(entries[2]["name"], "b.txt");
    assert_eq!(entries[2]["href"], "b.txt");
    assert_eq!(entries[2]["size"], 5);
    assert_eq!(entries[2]["mtime"], site::CHANGED_DATE);
}

#[test]
fn a_name_cannot_write_into_the_page() {
    let site = Site::new();
    for name in [
        "<script>alert(1)</script>",
        "\"onmouseover=\"alert(1)",
        "'>",
        "a\nb",
        "\u{1b}[31mred",
        "javascript:alert(1)",
    ] {
        std::fs::write(site.folder().join(name.replace('/', "")), "x").unwrap();
    }
    let answer = get(&site.open_with(listing()), "/");
    let page = text(&answer);
    assert!(!page.contains("<script") && !page.contains('\u{1b}'));
    assert!(page.contains("href=\"javascript%3Aalert%281%29\""));
    assert!(page.contains("a\\nb"), "{page}");
    assert!(!page.contains("\" onmouseover") && !page.contains("\"onmouseover"));
    assert!(
        answer
            .field("Content-Security-Policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
}

#[test]
fn the_top_has_nothing_above_it_and_an_index_comes_first() {
    let site = site();
    let files = site.open_with(listing());
    assert!(!text(&get(&files, "/")).contains("../"));
    assert_eq!(get(&files, "/list").field("Location"), Some("/list/"));
    site.write("index.html", "index");
    assert_eq!(text(&get(&files, "/")), "index");
}

#[test]
fn hidden_names_are_listed_when_they_may_be_seen() {
    let site = site();
    let answer = get(
        &site.open_with(Settings {
            hidden: true,
            ..listing()
        }),
        "/list/",
    );
    assert!(text(&answer).contains(".env"));
}

#[test]
fn a_listing_has_an_end() {
    let site = Site::new();
    for number in 0..LISTING_ENTRIES_MAX + 5 {
        std::fs::File::create(site.path(&number.to_string())).unwrap();
    }
    let page = text(&get(&site.open_with(listing()), "/"));
    assert_eq!(page.matches("<a href").count(), LISTING_ENTRIES_MAX);
    assert!(page.contains("There are more"));
}
