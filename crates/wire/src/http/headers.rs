use std::fmt;

/// Header fields of one head at most, whatever [`Limits::headers_max`](super::Limits::headers_max) says: the size of the fixed array.
pub const HEADERS_MAX: usize = 100;

/// How a value that is not UTF-8 reads: as a character that nobody expects, so that it neither matches nor counts as absent.
const NOT_UTF8: &str = "\u{fffd}";

/// The header fields of a head, in their order, borrowed from the input.
///
/// They are kept as places in the head, in a fixed array of 800 bytes: four times less to move about than slices.
#[derive(Clone, Copy)]
pub struct Headers<'b> {
    head: &'b [u8],
    places: [Place; HEADERS_MAX],
    count: usize,
}

/// Where a field stands in the head. Two bytes each are enough: see [`HEAD_BYTES_MAX`](super::head::HEAD_BYTES_MAX).
#[derive(Clone, Copy, Default)]
struct Place {
    name: u16,
    name_bytes: u16,
    value: u16,
    value_bytes: u16,
}

impl<'b> Headers<'b> {
    /// Tokenises the header fields that `head` is, with the empty line behind them.
    pub(super) fn parse(head: &'b [u8], headers_max: usize) -> Result<Self, httparse::Error> {
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let space = &mut fields[..headers_max.min(HEADERS_MAX)];
        let httparse::Status::Complete((_, fields)) = httparse::parse_headers(head, space)? else {
            return Err(httparse::Error::NewLine);
        };
        let mut places = [Place::default(); HEADERS_MAX];
        for (place, field) in places.iter_mut().zip(fields) {
            (place.name, place.name_bytes) = place_of(head, field.name.as_bytes());
            (place.value, place.value_bytes) = place_of(head, field.value);
        }
        Ok(Self {
            head,
            places,
            count: fields.len(),
        })
    }

    /// All fields as (name as it was sent, value bytes without the white space around them).
    pub fn iter(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + '_ {
        self.fields()
            .map(|(name, value)| (std::str::from_utf8(name).unwrap_or(NOT_UTF8), value))
    }

    /// All fields as bytes: comparing a name does not need to know that it is text.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + '_ {
        let head = self.head;
        self.places[..self.count].iter().map(move |place| {
            let (name, value) = (usize::from(place.name), usize::from(place.value));
            (
                &head[name..name + usize::from(place.name_bytes)],
                &head[value..value + usize::from(place.value_bytes)],
            )
        })
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first value of `name`, compared without case. A value that is not UTF-8 reads as U+FFFD; its bytes are in [`Headers::iter`].
    pub fn first(&self, name: &str) -> Option<&'b str> {
        self.all(name).next()
    }

    /// Every value of `name`, compared without case, in their order.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'b str> + 's {
        self.fields()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| std::str::from_utf8(value).unwrap_or(NOT_UTF8))
    }

    /// Whether the comma-separated list `name` (in all its fields) holds `token`; both compared without case (RFC 9110 §5.6.1).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).any(|value| {
            value
                .split(',')
                .any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
        })
    }
}

/// Where `part` begins in `head`, of which it is a part, and how long it is. An empty part may stand anywhere.
fn place_of(head: &[u8], part: &[u8]) -> (u16, u16) {
    let begin = part.as_ptr().addr().wrapping_sub(head.as_ptr().addr());
    match (u16::try_from(begin), u16::try_from(part.len())) {
        (Ok(begin), Ok(bytes)) if usize::from(begin) + usize::from(bytes) <= head.len() => {
            (begin, bytes)
        }
        _ => (0, 0),
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(name, value)| (name, value.escape_ascii().to_string())),
            )
            .finish()
    }
}
