//! Which attachments an argument list speaks of.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::list::List;
use crate::Violation;

const CLAUSE: &str = "Socket.IO v5, binary attachments";

/// Judges each object with `"_placeholder":true`: its `num` is below `attachments`.
///
/// Serde's own limit of nesting (128) holds, so a peer cannot make this recurse far.
///
/// # Errors
/// A violation where it is not, or the list nests too deep.
pub(super) fn check(list: &List<'_>, attachments: u32) -> Result<(), Violation> {
    let array = list.to_array();
    let mut deserializer = serde_json::Deserializer::from_str(&array);
    let found = Value { attachments }
        .deserialize(&mut deserializer)
        .map_err(|error| {
            Violation::new(CLAUSE, format!("a binary packet is unreadable: {error}"))
        })?;
    match found {
        Found::Wrong => Err(Violation::new(CLAUSE, "illegal attachments")),
        _ => Ok(()),
    }
}

/// What a value is, as far as placeholders go.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    /// A placeholder in it names no attachment.
    Wrong,
    True,
    Number(u64),
    Other,
}

#[derive(Clone, Copy)]
struct Value {
    attachments: u32,
}

impl<'a> DeserializeSeed<'a> for Value {
    type Value = Found;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found, E> {
        Ok(if value { Found::True } else { Found::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Found, E> {
        Ok(Found::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<Found, A::Error> {
        let mut all = Found::Other;
        while let Some(found) = array.next_element_seed(self)? {
            if found == Found::Wrong {
                all = Found::Wrong;
            }
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Found, A::Error> {
        let (mut all, mut is_placeholder, mut num) = (Found::Other, false, None);
        while let Some(key) = map.next_key::<Key>()? {
            let found = map.next_value_seed(self)?;
            match key {
                Key::Placeholder => is_placeholder = found == Found::True,
                Key::Num => num = Some(found),
                Key::Other => {}
            }
            if found == Found::Wrong {
                all = Found::Wrong;
            }
        }
        let is_known = matches!(num, Some(Found::Number(num)) if num < u64::from(self.attachments));
        Ok(if is_placeholder && !is_known {
            Found::Wrong
        } else {
            all
        })
    }
}

/// The keys of a placeholder. Any other may hold what no `str` can.
enum Key {
    Placeholder,
    Num,
    Other,
}

impl<'a> serde::Deserialize<'a> for Key {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_bytes<E>(self, key: &[u8]) -> Result<Key, E> {
                Ok(match key {
                    b"_placeholder" => Key::Placeholder,
                    b"num" => Key::Num,
                    _ => Key::Other,
                })
            }

            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
                self.visit_bytes(key.as_bytes())
            }
        }
        deserializer.deserialize_bytes(Name)
    }
}
