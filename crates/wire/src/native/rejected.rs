use std::borrow::Cow;

use serde_json::value::RawValue;

/// A unit that is no request. The connection lives; the peer gets an `{"error":…}`.
#[derive(Debug, Clone)]
pub struct Rejected<'a> {
    /// One of [`codes::ERRORS`](super::codes::ERRORS).
    pub code: &'static str,
    /// What is wrong and what to do, in a sentence.
    pub text: Cow<'static, str>,
    /// The unit's `ref`, where it could be read.
    pub reference: Option<&'a RawValue>,
}

impl<'a> Rejected<'a> {
    pub(super) fn bad_json(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: "bad-json",
            text: text.into(),
            reference: None,
        }
    }

    pub(super) fn bad_field(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: "bad-field",
            text: text.into(),
            reference: None,
        }
    }

    pub(super) fn about(mut self, reference: Option<&'a RawValue>) -> Self {
        self.reference = reference;
        self
    }

    /// The `ref` as it stands in the JSON.
    #[must_use]
    pub fn reference_json(&self) -> Option<&'a str> {
        self.reference.map(RawValue::get)
    }

    /// Appends the answer that the peer gets.
    pub fn encode(&self, out: &mut Vec<u8>) {
        super::encode_error(
            out,
            self.code,
            self.reference.map(RawValue::get),
            &self.text,
            None,
        );
    }
}
