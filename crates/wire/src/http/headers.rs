use std::fmt;

/// Header fields of one head at most, whatever [`Limits::headers_max`](super::Limits::headers_max) says: the size of the fixed array.
pub const HEADERS_MAX: usize = 100;

/// How a value that is not UTF-8 reads: as a character that nobody expects, so that it neither matches nor counts as absent.
const NOT_UTF8: &str = "\u{fffd}";

/// The header fields of a head, in their order, borrowed from the input.
#[derive(Clone, Copy)]
pub struct Headers<'b> {
    fields: [httparse::Header<'b>; HEADERS_MAX],
    count: usize,
}

impl<'b> Headers<'b> {
    /// Tokenises the header fields at the front of `input`, up to and with the empty line.
    pub(super) fn parse(
        input: &'b [u8],
        headers_max: usize,
    ) -> Result<httparse::Status<Self>, httparse::Error> {
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let space = &mut fields[..headers_max.min(HEADERS_MAX)];
        let count = match httparse::parse_headers(input, space)? {
            httparse::Status::Partial => return Ok(httparse::Status::Partial),
            httparse::Status::Complete((_, parsed)) => parsed.len(),
        };
        Ok(httparse::Status::Complete(Self { fields, count }))
    }

    /// All fields as (name as it was sent, value bytes without the white space around them).
    pub fn iter(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + '_ {
        self.fields[..self.count]
            .iter()
            .map(|field| (field.name, field.value))
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
        self.iter()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name))
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
