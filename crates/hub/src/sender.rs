//! Who said something: the name that it goes by, and beside it the user that its credentials proved.

use std::sync::Arc;

/// Stands before the name of who is verified, and between name and user. No name begins with it, so no guest can look verified, and the first byte
/// of the string says which of the two it is.
const MARK: char = '\u{1f}';

/// The server's stamp of who speaks: a display name, which anybody may choose, and the verified user, which nobody can.
///
/// Both lie in one string, so a message of an open server, where nobody is verified, is no larger for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sender(Arc<str>);

impl Sender {
    /// Somebody unproven who goes by `name`.
    #[must_use]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        if name.starts_with(MARK) {
            return Self(name.replace(MARK, "\u{fffd}").into());
        }
        Self(name)
    }

    /// The same name with what was proved of it, whatever it carried before.
    #[must_use]
    pub fn verified(&self, user: Option<&str>) -> Self {
        match user {
            None if self.is_guest() => self.clone(),
            None => Self(self.name().into()),
            Some(user) => {
                let name = self.name().replace(MARK, "\u{fffd}");
                Self(format!("{MARK}{name}{MARK}{user}").into())
            }
        }
    }

    /// What a store gives back of [`Sender::as_kept`].
    #[must_use]
    pub fn kept(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Both in one, as they are kept: the name; of who is verified U+001F, the name, U+001F, the user.
    #[must_use]
    pub fn as_kept(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether nothing is proved of it: then [`Sender::as_kept`] is the name.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.0.as_bytes().first() != Some(&(MARK as u8))
    }

    /// The display name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.is_guest() {
            true => &self.0,
            false => self.parts().0,
        }
    }

    /// The verified user, where there is one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self.is_guest() {
            true => None,
            false => Some(self.parts().1),
        }
    }

    /// Whose idempotency ids these are: the user's under whatever name, behind U+001F; else the name's.
    #[must_use]
    pub fn owner(&self) -> Arc<str> {
        match self.is_guest() {
            true => Arc::clone(&self.0),
            false => format!("{MARK}{}", self.parts().1).into(),
        }
    }

    /// Name and user of who is verified.
    fn parts(&self) -> (&str, &str) {
        let both = self.0.strip_prefix(MARK).unwrap_or_default();
        both.split_once(MARK).unwrap_or((both, ""))
    }
}

impl From<&str> for Sender {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

impl From<Arc<str>> for Sender {
    fn from(name: Arc<str>) -> Self {
        Self::named(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_bring_a_user_along() {
        for forged in ["ana\u{1f}root", "\u{1f}ana\u{1f}root", "\u{1f}", ""] {
            let forged = Sender::named(forged);
            assert_eq!(forged.user(), None);
            assert_eq!(Sender::kept(Arc::clone(forged.as_kept())).user(), None);
            let verified = forged.verified(Some("u1"));
            assert_eq!(verified.user(), Some("u1"));
            assert_eq!(verified.verified(None).user(), None);
            assert_eq!(Sender::from(verified.name()).user(), None);
        }
        let guest = Sender::named("ana");
        let ana = guest.verified(Some("u1"));
        assert_eq!((ana.name(), ana.user()), ("ana", Some("u1")));
        assert_eq!(ana.verified(Some("u2")).user(), Some("u2"));
        assert_eq!(ana.verified(Some("u\u{1f}2")).user(), Some("u\u{1f}2"));
        assert_eq!(ana.verified(None), guest);
        assert_eq!(Sender::kept(Arc::clone(ana.as_kept())), ana);
    }

    #[test]
    fn ids_belong_to_the_user_and_never_to_a_guest_of_the_same_name() {
        let guest = Sender::named("u1");
        let (one, two) = (
            Sender::named("ana").verified(Some("u1")),
            Sender::named("Ana at home").verified(Some("u1")),
        );
        assert_eq!(one.owner(), two.owner());
        assert_ne!(one.owner(), guest.owner());
    }
}
