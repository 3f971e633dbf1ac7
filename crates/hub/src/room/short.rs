//! Display names as rosters keep them.

use std::sync::Arc;

/// The longest name that is kept in place, in bytes: most guests' names are no longer.
const INLINE_BYTES_MAX: usize = 14;

/// A display name in 16 bytes. A long one lies elsewhere.
#[derive(Clone, Debug)]
pub(super) enum ShortName {
    Inline {
        length: u8,
        bytes: [u8; INLINE_BYTES_MAX],
    },
    Long(Box<Arc<str>>),
}

const _: () = assert!(size_of::<ShortName>() == 16);

impl ShortName {
    pub(super) fn new(name: &Arc<str>) -> Self {
        let mut bytes = [0; INLINE_BYTES_MAX];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(name.as_bytes());
                Self::Inline { length, bytes }
            }
            _ => Self::Long(Box::new(Arc::clone(name))),
        }
    }

    /// What it is in bytes, for those who compare.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(name) => name.as_bytes(),
        }
    }

    /// As everybody else has it.
    pub(super) fn to_name(&self) -> Arc<str> {
        match self {
            // Bytes of a string: nothing is lost.
            Self::Inline { .. } => String::from_utf8_lossy(self.as_bytes()).into(),
            Self::Long(name) => Arc::clone(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_was() {
        for name in [
            "",
            "guest-10000",
            "fourteen bytes",
            "fifteen  bytes!",
            "Zoë",
            "名前名前名前",
        ] {
            let name: Arc<str> = name.into();
            let short = ShortName::new(&name);
            assert_eq!(short.to_name(), name);
            assert_eq!(short.as_bytes(), name.as_bytes());
            let is_long = matches!(short, ShortName::Long(_));
            assert_eq!(is_long, name.len() > INLINE_BYTES_MAX);
        }
    }
}
