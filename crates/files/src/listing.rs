//! What is in a folder: a page for people, JSON for programs.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use serde::Serialize;
use taut_wire::http::date::imf_fixdate;

use crate::answer::Answer;
use crate::path::{Place, encode, is_hidden, is_plain, show};
use crate::preference::prefers;
use crate::root::{Absent, Found, Root};

/// Entries of a folder that a listing names: those that the system gives first. A page says when there are more.
pub const LISTING_ENTRIES_MAX: usize = 10_000;

const STYLE: &str = ":root{color-scheme:light dark}body{font:1rem/1.6 system-ui,sans-serif;margin:2rem auto;max-width:56rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{padding:.15rem .75rem .15rem 0;text-align:left}td:first-child{overflow-wrap:anywhere;width:100%}\
td+td,th+th{font-variant-numeric:tabular-nums;text-align:right;white-space:nowrap;opacity:.75}tr:hover td{background:#8881}";

/// An entry; its names and values in JSON are those of nginx's listings, with the reference beside the name that may not be UTF-8.
#[derive(Serialize)]
struct Entry {
    name: String,
    href: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "mtime")]
    modified: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// The answer for a folder that may be listed. Hidden names, links that lead out and whatever is no file or folder are not in it.
pub(crate) fn answer(
    root: &Root,
    place: &Place,
    folder: &File,
    hidden: bool,
    accept: Option<&str>,
) -> Result<Answer, Absent> {
    let (entries, is_cut) = entries(root, place, folder, hidden)?;
    let (kind, bytes) = match prefers(accept, &["text/html", "application/json"]) {
        Some(1) => (
            "application/json",
            serde_json::to_vec(&entries).unwrap_or_default(),
        ),
        _ => (
            "text/html; charset=utf-8",
            page(place, &entries, is_cut).into_bytes(),
        ),
    };
    Ok(Answer::bare(200)
        .with("Content-Type", kind)
        .with("Cache-Control", "no-cache")
        .with(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'",
        )
        .with("Vary", "Accept")
        .with_bytes(bytes))
}

/// Folders first, each kind by name; and whether there were more than fit.
fn entries(
    root: &Root,
    place: &Place,
    folder: &File,
    hidden: bool,
) -> Result<(Vec<Entry>, bool), Absent> {
    let relative = place.relative();
    let mut entries = Vec::new();
    for found in Dir::read_from(folder)? {
        let found = found?;
        let name = found.file_name().to_bytes();
        if !is_plain(name) || (is_hidden(name) && !hidden) {
            continue;
        }
        if entries.len() == LISTING_ENTRIES_MAX {
            return Ok((sorted(entries), true));
        }
        entries.extend(entry(root, &relative, folder, name));
    }
    Ok((sorted(entries), false))
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| (a.size.is_some(), &a.name).cmp(&(b.size.is_some(), &b.name)));
    entries
}

/// `None`: it went meanwhile, or it is nothing that a request could get.
fn entry(root: &Root, relative: &Path, folder: &File, name: &[u8]) -> Option<Entry> {
    let stat = statat(folder, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let (is_file, size, modified_unix_s) = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => (true, u64::try_from(stat.st_size).ok()?, stat.st_mtime),
        FileType::Directory => (false, 0, stat.st_mtime),
        FileType::Symlink => {
            let (metadata, is_file) =
                match root.find(&relative.join(OsStr::from_bytes(name))).ok()? {
                    Found::File(_, metadata) => (metadata, true),
                    Found::Folder(folder) => (folder.metadata().ok()?, false),
                };
            (is_file, metadata.len(), metadata.mtime())
        }
        _ => return None,
    };
    let mut href = String::new();
    encode(&mut href, name);
    if !is_file {
        href.push('/');
    }
    Some(Entry {
        name: show(name),
        href,
        kind: if is_file { "file" } else { "directory" },
        modified: imf_fixdate(u64::try_from(modified_unix_s).unwrap_or(0)),
        size: is_file.then_some(size),
    })
}

fn page(place: &Place, entries: &[Entry], is_cut: bool) -> String {
    let title = escape(&place.shown());
    let mut page = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <h1>{title}</h1>\n<table>\n<tr><th>Name<th>Size<th>Changed (UTC)\n"
    );
    if !place.is_top() {
        page += "<tr><td><a href=\"../\">../</a><td><td>\n";
    }
    for entry in entries {
        let slash = if entry.size.is_some() { "" } else { "/" };
        let size = entry.size.map(show_size).unwrap_or_default();
        // `Sun, 06 Nov 1994 08:49:37 GMT` without its day and its seconds.
        let modified = entry.modified.get(5..22).unwrap_or_default();
        // A String takes all that is written to it.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"{}\">{}{slash}</a><td>{size}<td>{modified}",
            entry.href,
            escape(&entry.name)
        );
    }
    page += "</table>\n";
    if is_cut {
        let _ = writeln!(page, "<p>There are more; {LISTING_ENTRIES_MAX} are shown.");
    }
    page
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            character => escaped.push(character),
        }
    }
    escaped
}

/// `512 B`, `1.5 kB`, `23 MB`: two digits are enough to choose by.
fn show_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (bytes / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (9_999, "9.9 kB"),
            (10_000, "10 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1.0 MB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(show_size(bytes), shown);
        }
    }
}
