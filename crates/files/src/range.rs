//! Parts of a file (RFC 9110 §14).

/// Ranges in one request. A request for more gets the whole file: it costs the same and no client needs it.
pub const RANGES_MAX: usize = 16;

/// What a `Range` comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// Everything: it is another unit, cannot be read, or asks for too much at once (§14.2 lets a server ignore it).
    Whole,
    /// These parts, at least one, in the order in which they were asked for; none touches another.
    Parts(Vec<Part>),
    /// No byte that is there was asked for: 416.
    Unsatisfiable,
}

/// Bytes from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Part {
    /// How many bytes it has, at least one.
    pub(crate) fn length(&self) -> u64 {
        self.last - self.first + 1
    }

    /// The value of `Content-Range` (§14.4).
    pub(crate) fn content_range(&self, complete: u64) -> String {
        format!("bytes {}-{}/{complete}", self.first, self.last)
    }

    fn touches(&self, other: &Self) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }
}

impl Ranges {
    /// Reads a `Range` for a file of `complete` bytes. An empty file has no part that could be sent, so it is sent whole.
    pub(crate) fn parse(value: &str, complete: u64) -> Self {
        let Some((unit, set)) = value.split_once('=') else {
            return Self::Whole;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") || complete == 0 {
            return Self::Whole;
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut count = 0;
        for spec in set
            .split(',')
            .map(str::trim)
            .filter(|spec| !spec.is_empty())
        {
            count += 1;
            match parse_spec(spec, complete) {
                Some(_) if count > RANGES_MAX => return Self::Whole,
                Some(Some(part)) => add(&mut parts, part),
                Some(None) => {}
                None => return Self::Whole,
            }
        }
        if count == 0 {
            return Self::Whole;
        }
        if parts.is_empty() {
            return Self::Unsatisfiable;
        }
        Self::Parts(parts)
    }
}

/// `None`: no range at all. `Some(None)`: beyond the end.
fn parse_spec(spec: &str, complete: u64) -> Option<Option<Part>> {
    let end = complete - 1;
    let (first, last) = spec.split_once('-')?;
    let part = match (first, last) {
        ("", suffix) => {
            let length = number(suffix)?.min(complete);
            (length > 0).then(|| Part {
                first: complete - length,
                last: end,
            })
        }
        (first, last) => {
            let first = number(first)?;
            let last = if last.is_empty() {
                u64::MAX
            } else {
                number(last)?
            };
            if last < first {
                return None;
            }
            (first <= end).then(|| Part {
                first,
                last: last.min(end),
            })
        }
    };
    Some(part)
}

/// Digits only; what no file can be as long as is the longest that there is.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Adds a part; those that it overlaps or touches become one with it, where the first of them stood (§15.3.7.2).
fn add(parts: &mut Vec<Part>, mut part: Part) {
    let mut place = parts.len();
    let mut index = 0;
    while let Some(other) = parts.get(index) {
        if other.touches(&part) {
            part.first = part.first.min(other.first);
            part.last = part.last.max(other.last);
            parts.remove(index);
            place = place.min(index);
            // The larger part may touch one that was passed already.
            index = 0;
        } else {
            index += 1;
        }
    }
    parts.insert(place.min(parts.len()), part);
}
