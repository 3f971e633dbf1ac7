use serde_json::value::RawValue;

/// JSON values as they stood in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct List<'a> {
    /// The text between the brackets, without white space around it: `"hi",{"a":[1]}`. Empty where there are no values; the value
    /// itself where there is one.
    pub json: &'a str,
    /// How many values there are. Encoders do not look at it.
    pub count: usize,
}

impl<'a> List<'a> {
    /// Each value by itself.
    pub fn values(&self) -> impl Iterator<Item = &'a RawValue> + use<'a> {
        let mut rest = Some(self.json);
        std::iter::from_fn(move || {
            let text = rest.take()?;
            let value = serde_json::Deserializer::from_str(text)
                .into_iter::<&'a RawValue>()
                .next()?
                .ok()?;
            let behind = text.trim_start().get(value.get().len()..)?;
            rest = behind.trim_start().strip_prefix(',');
            Some(value)
        })
    }

    /// The values as an array again, with brackets.
    pub fn to_array(&self) -> String {
        ["[", self.json, "]"].concat()
    }
}
