//! From the application's terms to an identity, by the rules that hold for tokens.

use std::sync::Arc;

use serde_json::Map;
use taut_auth::{Auth, Identity, Proof, Verifier};
use taut_gate::display_name;
use taut_hub::Grant;

use crate::hooks::Terms;

/// Who somebody is by the application's terms, on top of what it has `shown` now, or was `before`. `None`: they change nothing. It lasts no longer than what it has shown.
pub(super) fn identity_of(
    terms: &Terms,
    shown: Option<&Identity>,
    before: Option<&Identity>,
    auth: Option<&Auth>,
    now_s: u64,
) -> Result<Option<Identity>, String> {
    if *terms == Terms::default() {
        return Ok(None);
    }
    let ends_s = match (terms.life_s, shown.or(before)) {
        (Some(life_s), _) => now_s.saturating_add(life_s),
        (None, base) => base.map_or(u64::MAX, |base| base.expires_s),
    };
    let ends_s = ends_s.min(shown.map_or(u64::MAX, |shown| shown.expires_s));
    let shown = shown.or(before);
    let refused = |error: taut_auth::AuthError| error.to_string();
    let open = || Arc::new(Grant::open());
    let anonymous = || auth.map_or_else(open, |auth| Arc::clone(&auth.anonymous));
    let roles = auth.map(|auth| &auth.verifier.roles);
    let grant = match (&terms.rights, shown, auth) {
        (Some(rights), ..) => {
            let mut claims = Map::new();
            claims.insert("taut".into(), rights.clone().into());
            let grant = roles.map_or_else(
                || taut_auth::Roles::default().grant_of_claims(&claims, &[]),
                |roles| roles.grant_of_claims(&claims, &[]),
            );
            Arc::new(grant.map_err(refused)?)
        }
        (None, Some(shown), _) => Arc::clone(&shown.grant),
        (None, None, Some(auth))
            if terms.user.is_some() && !auth.verifier.demands.roles.is_empty() =>
        {
            let always = &auth.verifier.demands.roles;
            let grant = auth.verifier.roles.grant_of_claims(&Map::new(), always);
            Arc::new(grant.map_err(refused)?)
        }
        (None, None, _) => anonymous(),
    };
    let user = match &terms.user {
        // Held to the rules for users.
        Some(user) => Verifier::vouched(user, &grant).map_err(refused)?.user,
        None => shown.and_then(|shown| shown.user.clone()),
    };
    let name = match &terms.name {
        Some(name) => {
            display_name(name).map_err(|error| error.to_string())?;
            Some(name.clone())
        }
        None => shown.and_then(|shown| shown.name.clone()),
    };
    Ok(Some(Identity {
        user,
        name,
        token_id: shown.and_then(|shown| shown.token_id.clone()),
        // The application was asked now: what was taken back before it knows.
        issued_s: match terms.user {
            Some(_) => now_s,
            None => shown.map_or(now_s, |shown| shown.issued_s),
        },
        expires_s: ends_s,
        // A reload changes nothing of what the application has said.
        proof: Proof::Other,
        grant,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use taut_hub::{Right, RoomName};

    use super::*;

    fn terms(user: Option<&str>, life_s: Option<u64>) -> Terms {
        Terms {
            user: user.map(str::to_owned),
            life_s,
            ..Terms::default()
        }
    }

    fn granting(rights: &serde_json::Value) -> Terms {
        Terms {
            rights: rights.as_object().cloned(),
            ..Terms::default()
        }
    }

    fn allows(identity: &Identity, room: &str) -> bool {
        let room = RoomName::parse(room).unwrap();
        let user = identity.user.as_deref();
        identity.grant.allows(&room, Right::Join, user)
    }

    #[test]
    fn nothing_said_changes_nothing_and_what_is_said_counts() {
        assert_eq!(
            identity_of(&Terms::default(), None, None, None, 100),
            Ok(None)
        );
        let ana = identity_of(&terms(Some("ana"), Some(60)), None, None, None, 100);
        let ana = ana.unwrap().unwrap();
        assert_eq!((ana.user.as_deref(), ana.expires_s), (Some("ana"), 160));
        assert!(ana.grant.is_everything());
        let narrow = granting(&json!({"grants": {"users/$user": "join"}}));
        let narrow = identity_of(&narrow, Some(&ana), None, None, 100);
        let narrow = narrow.unwrap().unwrap();
        assert!(allows(&narrow, "users/ana") && !allows(&narrow, "users/bo"));
        assert_eq!(narrow.user, ana.user);
    }

    #[test]
    fn a_token_bounds_how_long_it_lasts_and_an_earlier_answer_does_not() {
        let short = identity_of(&terms(Some("ana"), Some(5)), None, None, None, 100);
        let short = short.unwrap().unwrap();
        let ends_s = |shown, before| {
            let identity = identity_of(&terms(None, Some(60)), shown, before, None, 100);
            identity.unwrap().unwrap().expires_s
        };
        assert_eq!(ends_s(Some(&short), None), 105);
        assert_eq!(ends_s(None, Some(&short)), 160);
    }

    #[test]
    fn terms_that_make_no_sense_are_refused() {
        let wrong = [
            terms(Some(""), None),
            terms(Some("a\u{202e}b"), None),
            granting(&json!({"roles": ["none-such"]})),
            granting(&json!({"roles": {"a": 1}})),
            granting(&json!({"grants": {"a//b": "join"}})),
            granting(&json!({"grants": {"a": "jion"}})),
            Terms {
                name: Some("a:b".into()),
                ..Terms::default()
            },
        ];
        for terms in wrong {
            assert!(
                identity_of(&terms, None, None, None, 100).is_err(),
                "{terms:?}"
            );
        }
    }
}
