//! What tells one state of a file from another: entity tags and dates (RFC 9110 §8.8).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use taut_wire::http::date;

/// The validators of one representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validators {
    /// In its quotes; strong: two states with the same tag have the same bytes, as far as the file system's clock tells.
    pub(crate) etag: String,
    /// Seconds since 1970; never later than the answer (§8.8.2.1). None for a file from before 1970.
    pub(crate) modified_unix_s: Option<u64>,
    now_unix_s: u64,
}

impl Validators {
    /// From the file that is open. `coding` makes a compressed file's tag differ even if all numbers were the same.
    pub(crate) fn of(metadata: &Metadata, coding: Option<&str>, now_unix_s: u64) -> Self {
        let coding = coding
            .map(|coding| format!("-{coding}"))
            .unwrap_or_default();
        let modified_ns =
            i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self {
            etag: format!(
                "\"{:x}-{modified_ns:x}-{:x}{coding}\"",
                metadata.len(),
                metadata.ino()
            ),
            modified_unix_s: u64::try_from(metadata.mtime())
                .ok()
                .map(|modified| modified.min(now_unix_s)),
            now_unix_s,
        }
    }

    /// The value of `Last-Modified`.
    pub(crate) fn last_modified(&self) -> Option<String> {
        self.modified_unix_s.map(date::imf_fixdate)
    }

    /// Whether an entity tag of the list is this one; `*` is any (§13.1.1, §13.1.2).
    pub(crate) fn matches(&self, list: &str, comparison: Comparison) -> bool {
        list.trim() == "*" || tags(list).any(|tag| self.is_tag(tag, comparison))
    }

    /// `If-Range` (§13.1.5): a strong tag that is this one, or the very date, if so old that the file cannot have changed again within that second.
    pub(crate) fn matches_if_range(&self, value: &str) -> bool {
        let value = value.trim();
        if value.starts_with('"') || value.starts_with("W/") {
            return self.is_tag(value, Comparison::Strong);
        }
        let date = date::parse(value, self.now_unix_s);
        date.is_some()
            && date == self.modified_unix_s
            && date.is_some_and(|date| date < self.now_unix_s)
    }

    /// Whether the file was changed after the date, if it is one.
    pub(crate) fn is_modified_since(&self, date: &str) -> Option<bool> {
        let date = date::parse(date.trim(), self.now_unix_s)?;
        self.modified_unix_s.map(|modified| modified > date)
    }

    fn is_tag(&self, tag: &str, comparison: Comparison) -> bool {
        match tag.strip_prefix("W/") {
            Some(weak) => comparison == Comparison::Weak && weak == self.etag,
            None => tag == self.etag,
        }
    }
}

/// How tags are compared (§8.8.3.2): a weak tag equals none when compared strongly. Ours are never weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Strong,
    Weak,
}

/// The tags of a list, with their quotes and `W/`. A tag may hold commas; whatever is none ends the list.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let begin = if rest.starts_with("W/\"") {
            3
        } else if rest.starts_with('"') {
            1
        } else {
            return None;
        };
        let end = begin + rest[begin..].find('"')? + 1;
        let (tag, behind) = rest.split_at(end);
        rest = behind;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_read_up_to_what_is_none() {
        let read = |list| tags(list).collect::<Vec<_>>();
        assert_eq!(
            read(r#""a", W/"b" ,,"c,d""#),
            [r#""a""#, r#"W/"b""#, r#""c,d""#]
        );
        assert_eq!(read(r#""a", b, "c""#), [r#""a""#]);
        assert_eq!(read(r#""a"#), [""; 0]);
        assert_eq!(read("W/"), [""; 0]);
        assert_eq!(read(""), [""; 0]);
    }
}
