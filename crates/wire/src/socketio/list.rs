use serde_json::value::RawValue;

/// JSON values as they stood in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct List<'a> {
    /// The text between the brackets, without white space around it: `"hi",{"a":[1]}`. Empty where there are no values.
    pub json: &'a str,
    /// How many values there are. Encoders do not look at it.
    pub count: usize,
}

impl<'a> List<'a> {
    /// Each value by itself. Allocates eight bytes for each two of the text at most.
    pub fn values(&self) -> Vec<&'a RawValue> {
        let mut values = Vec::with_capacity(self.count);
        let mut rest = self.json;
        while let Some(Ok(value)) = serde_json::Deserializer::from_str(rest)
            .into_iter::<&'a RawValue>()
            .next()
        {
            values.push(value);
            let behind = rest.trim_start().get(value.get().len()..);
            let Some(next) = behind.and_then(|behind| behind.trim_start().strip_prefix(',')) else {
                break;
            };
            rest = next;
        }
        values
    }

    /// The values as an array again, with brackets.
    pub fn to_array(&self) -> String {
        ["[", self.json, "]"].concat()
    }
}
