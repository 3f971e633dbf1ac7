//! Who said something: the name that it goes by, and beside it the user that its credentials proved.

use std::sync::Arc;

/// Stands between name and user. No name has it, so no name can look like a name with a user.
const BETWEEN: char = '\u{1f}';

/// The server's stamp of who speaks: a display name, which anybody may choose, and the verified user, which nobody can.
///
/// Both lie in one string, so a message of an open server, where nobody is verified, is no larger for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender(Arc<str>);

impl Sender {
    /// Somebody unproven who goes by `name`.
    #[must_use]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        if name.contains(BETWEEN) {
            return Self(name.replace(BETWEEN, "\u{fffd}").into());
        }
        Self(name)
    }

    /// The same name with what was proved of it, whatever it carried before.
    #[must_use]
    pub fn verified(&self, user: Option<&str>) -> Self {
        match user {
            None if self.user().is_none() => self.clone(),
            None => Self(self.name().into()),
            Some(user) => Self(format!("{}{BETWEEN}{user}", self.name()).into()),
        }
    }

    /// What a store gives back of [`Sender::as_kept`].
    #[must_use]
    pub fn kept(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Both in one, as they are kept: the name, and where there is a user, U+001F and the user.
    #[must_use]
    pub fn as_kept(&self) -> &Arc<str> {
        &self.0
    }

    /// The display name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0
            .split_once(BETWEEN)
            .map_or(&*self.0, |(name, _)| name)
    }

    /// The verified user, where there is one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.split_once(BETWEEN).map(|(_, user)| user)
    }

    /// Whose idempotency ids these are: the user's under whatever name, else the name's.
    #[must_use]
    pub fn owner(&self) -> Arc<str> {
        match self.0.find(BETWEEN) {
            None => Arc::clone(&self.0),
            Some(at) => Arc::from(&self.0[at..]),
        }
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
        let forged = Sender::named("ana\u{1f}root");
        assert_eq!(forged.user(), None);
        let guest = Sender::named("ana");
        let ana = guest.verified(Some("u1"));
        assert_eq!((ana.name(), ana.user()), ("ana", Some("u1")));
        assert_eq!(ana.verified(Some("u2")).user(), Some("u2"));
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
