//! One pass over a unit: the known fields as raw slices, in whatever order they stand.
//!
//! Values are skipped by a loop, not by recursion, so nesting costs no stack; [`DEPTH_MAX`] keeps it from our readers,
//! whose parsers do recurse.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep arrays and objects of a published JSON value may nest. Common parsers give up soon after.
pub const DEPTH_MAX: usize = 120;

/// Unknown names kept for the hint of a misspelt verb.
const STRANGERS_MAX: usize = 4;
/// Bytes of an unknown name worth showing.
const STRANGER_BYTES_MAX: usize = 40;

/// The known fields of one object; `names[i]` has the value `values[i]`.
pub(super) struct Fields<'a, const N: usize> {
    pub(super) values: [Option<&'a RawValue>; N],
    /// A known name that stands twice.
    pub(super) twice: Option<&'static str>,
    /// The first few names that are not known.
    pub(super) strangers: Vec<String>,
}

/// Reads `unit` as one object.
///
/// # Errors
/// A sentence when it is not UTF-8, not JSON, or JSON but no object.
pub(super) fn read<'a, const N: usize>(
    unit: &'a [u8],
    names: &'static [&'static str; N],
) -> Result<Fields<'a, N>, String> {
    let text = simdutf8::basic::from_utf8(unit).map_err(|_| "not UTF-8".to_owned())?;
    read_text(text, names)
}

/// The same for what is known to be UTF-8.
///
/// # Errors
/// As [`read`].
pub(super) fn read_text<'a, const N: usize>(
    text: &'a str,
    names: &'static [&'static str; N],
) -> Result<Fields<'a, N>, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = Names(names)
        .deserialize(&mut deserializer)
        .and_then(|fields| deserializer.end().map(|()| fields));
    fields.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "one JSON object is expected".to_owned(),
        _ => format!("not JSON: {error}"),
    })
}

struct Names<const N: usize>(&'static [&'static str; N]);

impl<'a, const N: usize> DeserializeSeed<'a> for Names<N> {
    type Value = Fields<'a, N>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a, const N: usize> Visitor<'a> for Names<N> {
    type Value = Fields<'a, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields {
            values: [None; N],
            twice: None,
            strangers: Vec::new(),
        };
        while let Some(found) = map.next_key_seed(Key(self.0, &mut fields.strangers))? {
            let Some(index) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&'a RawValue>()?;
            let (Some(place), Some(name)) = (fields.values.get_mut(index), self.0.get(index))
            else {
                continue;
            };
            if place.replace(value).is_some() {
                fields.twice.get_or_insert(name);
            }
        }
        Ok(fields)
    }
}

/// A field's name: its index among the known ones, or noted as a stranger.
struct Key<'n, const N: usize>(&'static [&'static str; N], &'n mut Vec<String>);

impl<'a, const N: usize> DeserializeSeed<'a> for Key<'_, N> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<const N: usize> Visitor<'_> for Key<'_, N> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let index = self.0.iter().position(|known| *known == name);
        if index.is_none() && self.1.len() < STRANGERS_MAX {
            let end = name.floor_char_boundary(STRANGER_BYTES_MAX);
            self.1.push(name[..end].to_owned());
        }
        Ok(index)
    }
}

/// Whether the valid JSON `json` nests deeper than [`DEPTH_MAX`].
pub(crate) fn is_too_deep(json: &[u8]) -> bool {
    if json.len() <= 2 * DEPTH_MAX {
        return false;
    }
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
