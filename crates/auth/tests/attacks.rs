//! One test per attack on tokens: SECURITY.md has the list.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING,
};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use taut_auth::{
    Algorithm, AuthError, Demands, Family, Jwks, JwksTimes, Key, KeyError, KeySet, Proof,
    Revocation, Revocations, Roles, SigningKey, Token, Unfit, Verifier, read_rule,
};
use taut_hub::{Right, RoomName};

const NOW_S: u64 = 1_800_000_000;
const SECRET: &[u8] = b"correct horse battery staple, and sixty-four bytes of it or even more";

fn claims(change: Value) -> Map<String, Value> {
    let mut claims = json!({"sub": "ana", "exp": NOW_S + 600, "iat": NOW_S});
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let mut claims = claims.as_object().unwrap().clone();
    claims.retain(|_, value| !value.is_null());
    claims
}

fn verifier() -> Verifier {
    let mut roles = Roles::default();
    roles.add(
        "editor",
        [read_rule("docs/**", "* -history", "role editor").unwrap()],
    );
    Verifier {
        keys: vec![Key::secret(Algorithm::Hs256, None, SECRET).unwrap()],
        demands: Demands::default(),
        roles,
    }
}

fn mint(claims: &Map<String, Value>) -> String {
    let key = SigningKey::secret(Algorithm::Hs256, SECRET).unwrap();
    key.mint(None, claims).unwrap()
}

fn judge(verifier: &Verifier, token: &str) -> Result<taut_auth::Identity, AuthError> {
    verifier.verify(token, &[], &Revocations::default(), NOW_S)
}

fn forged(header: &Value, claims: &Map<String, Value>, signature: &[u8]) -> String {
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let claims = Value::Object(claims.clone()).to_string();
    let signature = URL_SAFE_NO_PAD.encode(signature);
    format!(
        "{}.{}.{signature}",
        encode(header.to_string()),
        encode(claims)
    )
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

/// A pair of each kind, as PEM: private, public.
fn pair(algorithm: Algorithm) -> (String, String) {
    let (private, public) = match algorithm {
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => {
            let signing = match algorithm {
                Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
                Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
                _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
            };
            let key = EcdsaKeyPair::generate(signing).unwrap();
            let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            (
                key.to_pkcs8v1().unwrap().as_ref().to_vec(),
                public.as_ref().to_vec(),
            )
        }
        Algorithm::EdDsa => {
            let key = Ed25519KeyPair::generate().unwrap();
            let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            (
                key.to_pkcs8v1().unwrap().as_ref().to_vec(),
                public.as_ref().to_vec(),
            )
        }
        _ => {
            let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
            let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            (private.as_ref().to_vec(), public.as_ref().to_vec())
        }
    };
    (pem("PRIVATE KEY", &private), pem("PUBLIC KEY", &public))
}

#[test]
fn what_was_good_is_judged_again_by_other_settings() {
    let shown = mint(&claims(json!({"taut": {"roles": ["editor"]}})));
    let before = judge(&verifier(), &shown).unwrap();
    let Proof::Token {
        key, is_fetched, ..
    } = before.proof
    else {
        panic!("{:?}", before.proof);
    };
    assert!(!is_fetched && verifier().has_key(key));
    assert_eq!(verifier().judge_again(&before, NOW_S), Ok(before.clone()));
    // Nothing of it shows in a log.
    assert!(!format!("{before:?}").contains("\"sub\""));
    // Another key is another one, and the same key is the same when it is read again.
    let other = Key::secret(Algorithm::Hs256, None, &[SECRET, b"!"].concat()).unwrap();
    assert!(other.mark() != key);
    let longer = Key::secret(Algorithm::Hs384, None, SECRET).unwrap();
    assert!(longer.mark() != key, "for another algorithm");
    // A role with other rights, and none of that name.
    let mut less = verifier();
    less.roles = Roles::default();
    assert!(less.judge_again(&before, NOW_S).is_err());
    less.roles.add(
        "editor",
        [read_rule("docs/**", "join", "role editor").unwrap()],
    );
    let room = RoomName::parse("docs/a").unwrap();
    let now = less.judge_again(&before, NOW_S).unwrap();
    assert!(now.grant.allows(&room, Right::Join, Some("ana")));
    assert!(!now.grant.allows(&room, Right::Publish, Some("ana")));
    assert_eq!(
        (now.user, now.expires_s),
        (before.user.clone(), before.expires_s)
    );
    // Whoever must have made it, for whom, and until when it holds.
    let demands = [
        Demands {
            issuers: vec!["elsewhere".into()],
            ..Demands::default()
        },
        Demands {
            audiences: vec!["us".into()],
            ..Demands::default()
        },
        Demands {
            life_s_max: 60,
            ..Demands::default()
        },
    ];
    for demands in demands {
        let strict = Verifier {
            demands,
            ..verifier()
        };
        assert!(strict.judge_again(&before, NOW_S).is_err());
    }
    assert!(matches!(
        verifier().judge_again(&before, NOW_S + 6_000),
        Err(AuthError::Expired { .. })
    ));
}

#[test]
fn every_algorithm_signs_and_verifies_and_no_other_key_does() {
    let rsa = pair(Algorithm::Rs256);
    for algorithm in Algorithm::ALL {
        let (signing, key, other) = if algorithm.family() == Family::Secret {
            let other = [SECRET, b"!"].concat();
            (
                SigningKey::secret(algorithm, SECRET).unwrap(),
                Key::secret(algorithm, None, SECRET).unwrap(),
                Key::secret(algorithm, None, &other).unwrap(),
            )
        } else {
            let (private, public) = match algorithm.family() {
                Family::Rsa => rsa.clone(),
                _ => pair(algorithm),
            };
            (
                SigningKey::pem(algorithm, private.as_bytes()).unwrap(),
                Key::pem(algorithm, None, public.as_bytes()).unwrap(),
                Key::pem(algorithm, None, pair(algorithm).1.as_bytes()).unwrap(),
            )
        };
        let token = signing.mint(None, &claims(json!({}))).unwrap();
        for (key, is_right) in [(key, true), (other, false)] {
            let verifier = Verifier {
                keys: vec![key],
                ..verifier()
            };
            match judge(&verifier, &token) {
                Ok(identity) => assert!(is_right && identity.user.as_deref() == Some("ana")),
                Err(error) => assert!(!is_right && error == AuthError::Signature(algorithm)),
            }
        }
    }
}

#[test]
fn no_algorithm_at_all_is_refused_however_it_is_written() {
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "hs256",
        "HS256 ",
        "ES256K",
        "HS1",
        "\u{1b}[2J",
    ] {
        for signature in [&b""[..], b"x", &[0; 32]] {
            let token = forged(
                &json!({"alg": name, "typ": "JWT"}),
                &claims(json!({})),
                signature,
            );
            let error = judge(&verifier(), &token).unwrap_err();
            assert!(matches!(error, AuthError::Algorithm(_)), "{name} {error}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }
    for header in [
        json!({}),
        json!({"alg": null}),
        json!({"alg": ["HS256"]}),
        json!([]),
    ] {
        let token = forged(&header, &claims(json!({})), b"x");
        assert!(
            matches!(judge(&verifier(), &token), Err(AuthError::Malformed(_))),
            "{header}"
        );
    }
}

#[test]
fn a_signature_that_is_missing_is_wrong() {
    let token = mint(&claims(json!({})));
    let (signed, _) = token.rsplit_once('.').unwrap();
    for token in [
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.AA=="),
        format!("{token}."),
    ] {
        assert!(judge(&verifier(), &token).is_err(), "{token}");
    }
}

#[test]
fn a_public_key_is_no_secret_for_who_knows_it() {
    let (_, public) = pair(Algorithm::Rs256);
    let rsa = Key::pem(Algorithm::Rs256, None, public.as_bytes()).unwrap();
    let verifier = Verifier {
        keys: vec![rsa],
        ..verifier()
    };
    // The classic swap: sign with HMAC, under the text of the public key in any of its forms.
    let der = STANDARD.decode(public.lines().nth(1).unwrap()).unwrap();
    for secret in [public.as_bytes(), public.trim_end().as_bytes(), &der] {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            let key = SigningKey::secret(algorithm, secret).unwrap();
            let error = judge(&verifier, &key.mint(None, &claims(json!({}))).unwrap()).unwrap_err();
            assert!(matches!(error, AuthError::UnknownKey { .. }), "{error}");
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_and_not_the_tokens() {
    let (private, public) = pair(Algorithm::Rs256);
    let verifier = Verifier {
        keys: vec![Key::pem(Algorithm::Rs256, None, public.as_bytes()).unwrap()],
        ..verifier()
    };
    for algorithm in [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256] {
        let key = SigningKey::pem(algorithm, private.as_bytes()).unwrap();
        let token = key.mint(None, &claims(json!({}))).unwrap();
        assert!(matches!(
            judge(&verifier, &token),
            Err(AuthError::UnknownKey { .. })
        ));
    }
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256] {
        let error = Key::pem(algorithm, None, public.as_bytes()).unwrap_err();
        assert!(matches!(error, KeyError::WrongKind { .. }));
    }
}

#[test]
fn what_a_header_brings_along_is_not_looked_at() {
    let mine = SigningKey::secret(Algorithm::Hs256, &[7; 64]).unwrap();
    let own = mine.mint(None, &claims(json!({}))).unwrap();
    let signature = own.rsplit('.').next().unwrap();
    let key = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 64]), "alg": "HS256"});
    let header = json!({"alg": "HS256", "jwk": key, "jku": "http://evil.example/", "x5u": "file:///etc/passwd", "x5c": ["AA"]});
    let token = forged(
        &header,
        &claims(json!({})),
        &URL_SAFE_NO_PAD.decode(signature).unwrap(),
    );
    assert_eq!(
        judge(&verifier(), &token),
        Err(AuthError::Signature(Algorithm::Hs256))
    );
}

#[test]
fn a_key_id_is_a_name_and_nothing_else() {
    let named = Verifier {
        keys: vec![Key::secret(Algorithm::Hs256, Some("2026".into()), SECRET).unwrap()],
        ..verifier()
    };
    let key = SigningKey::secret(Algorithm::Hs256, SECRET).unwrap();
    for (id, is_right) in [
        ("2026", true),
        ("2025", false),
        ("", false),
        ("../../dev/null", false),
        ("/proc/self/environ", false),
        ("2026' OR '1'='1", false),
        ("2026\0", false),
        ("http://evil.example/key", false),
        ("2026\u{1b}[31m\n", false),
    ] {
        let token = key.mint(Some(id), &claims(json!({}))).unwrap();
        match judge(&named, &token) {
            Ok(_) => assert!(is_right, "{id}"),
            Err(error) => {
                assert!(
                    !is_right && matches!(error, AuthError::UnknownKey { .. }),
                    "{id}"
                );
                assert!(!error.to_string().chars().any(char::is_control), "{error}");
            }
        }
    }
    let huge = key
        .mint(Some(&"k".repeat(257)), &claims(json!({})))
        .unwrap();
    assert!(matches!(judge(&named, &huge), Err(AuthError::Malformed(_))));
    for id in [json!(7), json!(null), json!(["2026"]), json!({"a": 1})] {
        let token = forged(
            &json!({"alg": "HS256", "kid": id}),
            &claims(json!({})),
            b"x",
        );
        assert!(matches!(
            judge(&named, &token),
            Err(AuthError::Malformed(_))
        ));
    }
}

#[test]
fn extensions_and_tokens_for_something_else_are_refused() {
    let key = mint(&claims(json!({})));
    let signature = URL_SAFE_NO_PAD
        .decode(key.rsplit('.').next().unwrap())
        .unwrap();
    for header in [
        json!({"alg": "HS256", "crit": ["exp"]}),
        json!({"alg": "HS256", "crit": []}),
        json!({"alg": "HS256", "crit": ["b64"], "b64": false}),
        json!({"alg": "HS256", "typ": "logout+jwt"}),
        json!({"alg": "HS256", "typ": "dpop+jwt"}),
        json!({"alg": "HS256", "typ": 1}),
    ] {
        let token = forged(&header, &claims(json!({})), &signature);
        assert!(
            matches!(judge(&verifier(), &token), Err(AuthError::Malformed(_))),
            "{header}"
        );
    }
}

#[test]
fn a_token_that_is_too_long_is_not_even_decoded() {
    let long = mint(&claims(json!({"x": "y".repeat(8_000)})));
    let error = judge(&verifier(), &long).unwrap_err();
    assert!(matches!(error, AuthError::TooLong { .. }));
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d.e",
        "\u{0}",
        &"[".repeat(8_000),
        &".".repeat(8_000),
    ] {
        assert!(judge(&verifier(), token).is_err());
    }
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let deep = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":{deep}}}"));
    assert!(judge(&verifier(), &format!("{deep}.e30.AA")).is_err());
}

#[test]
fn time_is_kept_to_the_second_and_the_leeway() {
    let at = |change| judge(&verifier(), &mint(&claims(change)));
    assert!(at(json!({"exp": NOW_S - 9})).is_ok());
    assert!(matches!(
        at(json!({"exp": NOW_S - 10})),
        Err(AuthError::Expired { .. })
    ));
    assert_eq!(
        at(json!({"exp": NOW_S - 10})).unwrap_err().code(),
        "expired"
    );
    assert!(at(json!({"nbf": NOW_S + 10})).is_ok());
    assert!(matches!(
        at(json!({"nbf": NOW_S + 11})),
        Err(AuthError::NotYet { .. })
    ));
    assert!(matches!(
        at(json!({"iat": NOW_S + 11})),
        Err(AuthError::NotYet { .. })
    ));
    assert!(at(json!({"exp": NOW_S as f64 + 0.5})).is_ok());
    for exp in [
        json!(null),
        json!("1900000000"),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!([1]),
        json!(NOW_S + 40 * 86_400),
    ] {
        assert!(
            matches!(
                at(json!({"exp": exp})),
                Err(AuthError::Claim { claim: "exp", .. })
            ),
            "{exp}"
        );
    }
}

/// A token of a hundred days is refused today. It must not be taken in its last month, when a revocation of today is forgotten.
#[test]
fn a_token_that_lives_longer_than_revocations_is_never_taken() {
    let issued_s = NOW_S - 90 * 86_400;
    let long = claims(json!({"iat": issued_s, "exp": NOW_S + 86_400}));
    assert!(matches!(
        judge(&verifier(), &mint(&long)),
        Err(AuthError::Claim { claim: "exp", .. })
    ));
    let just = claims(json!({"iat": NOW_S - 30 * 86_400, "exp": NOW_S + 86_400}));
    assert!(judge(&verifier(), &mint(&just)).is_ok());
}

#[test]
fn a_token_for_somebody_else_or_from_somebody_else_is_refused() {
    let mut verifier = verifier();
    let token = |change| mint(&claims(change));
    assert!(judge(&verifier, &token(json!({"aud": "chat"}))).is_err());
    verifier.demands.audiences = vec!["chat".into(), "games".into()];
    verifier.demands.issuers = vec!["https://id.example/".into()];
    let iss = "https://id.example/";
    for (aud, iss, is_right) in [
        (json!("chat"), json!(iss), true),
        (json!(["x", "games"]), json!(iss), true),
        (json!(["chat2", "Chat", "cha"]), json!(iss), false),
        (json!([]), json!(iss), false),
        (json!(null), json!(iss), false),
        (json!({"chat": 1}), json!(iss), false),
        (json!("chat"), json!(null), false),
        (json!("chat"), json!("https://id.example"), false),
        (json!("chat"), json!(["https://id.example/"]), false),
    ] {
        let result = judge(&verifier, &token(json!({"aud": aud, "iss": iss})));
        assert_eq!(result.is_ok(), is_right, "{aud} {iss}");
    }
}

#[test]
fn a_user_that_looks_like_another_or_steers_a_terminal_is_none() {
    let user = |sub: Value| judge(&verifier(), &mint(&claims(json!({"sub": sub}))));
    for sub in [
        json!("ana"),
        json!("google|17"),
        json!("*"),
        json!("a/b"),
        json!("Zoë"),
        json!("x".repeat(128)),
    ] {
        assert_eq!(user(sub.clone()).unwrap().user.as_deref(), sub.as_str());
    }
    for sub in [
        json!(""),
        json!(" ana"),
        json!("ana\n"),
        json!("an\u{200b}a"),
        json!("ana\u{3164}"),
        json!("an\u{fe0f}a"),
        json!("a\u{34f}na"),
        json!("ana\u{2800}"),
        json!("ana\u{e01ef}"),
        json!("ana\u{202e}"),
        json!("\u{1f}"),
        json!("x".repeat(129)),
        json!(7),
        json!(["ana"]),
    ] {
        assert!(
            matches!(user(sub.clone()), Err(AuthError::Claim { .. })),
            "{sub}"
        );
    }
    assert_eq!(
        judge(&verifier(), &mint(&claims(json!({"sub": null}))))
            .unwrap()
            .user,
        None
    );
}

#[test]
fn a_replayed_token_is_refused_once_it_or_its_user_or_its_time_is_taken_back() {
    let life_s = 1_000;
    let token = |change| judge(&verifier(), &mint(&claims(change))).unwrap();
    let (ana, bo) = (
        token(json!({"jti": "1"})),
        token(json!({"jti": "2", "sub": "bo"})),
    );
    let old = token(json!({"jti": "3", "sub": "cleo", "iat": NOW_S - 60}));
    let timeless = token(json!({"sub": "ana", "iat": null}));
    let revoke = |revocation: Revocation| {
        let mut table = Revocations::default();
        table.revoke(&revocation, life_s, NOW_S).unwrap();
        // As it comes back after a restart.
        let (table, damage) = Revocations::decode(table.encode().as_bytes(), NOW_S);
        assert_eq!(damage, taut_auth::Damage::default());
        [&ana, &bo, &old, &timeless].map(|identity| table.of(identity).is_some())
    };
    assert_eq!(
        revoke(Revocation::Token { id: "1".into() }),
        [true, false, false, false]
    );
    let user = |issued_s_max| Revocation::User {
        user: "ana".into(),
        issued_s_max,
    };
    assert_eq!(revoke(user(NOW_S)), [true, false, false, true]);
    assert_eq!(revoke(user(NOW_S - 1)), [false, false, false, true]);
    assert_eq!(
        revoke(Revocation::All {
            issued_s_max: NOW_S - 1
        }),
        [false, false, true, true]
    );
    let mut table = Revocations::default();
    table.revoke(&user(NOW_S), life_s, NOW_S).unwrap();
    let refused = verifier()
        .verify(&mint(&claims(json!({}))), &[], &table, NOW_S)
        .unwrap_err();
    assert!(matches!(refused, AuthError::Revoked(_)));
    table.expire(NOW_S + life_s);
    assert!(table.is_empty());
}

#[test]
fn what_takes_nothing_back_or_more_than_anybody_means_is_no_revocation() {
    let user = |user: &str| {
        let user = user.into();
        let issued_s_max = NOW_S;
        Revocation::User { user, issued_s_max }.check(NOW_S)
    };
    let token = |id: &str| Revocation::Token { id: id.into() }.check(NOW_S);
    let all = |issued_s_max| Revocation::All { issued_s_max }.check(NOW_S);
    for good in ["ana", "a b", "*", "..", &"a".repeat(128), "\u{1f980}"] {
        assert_eq!(user(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        " ana",
        "ana\n",
        "an\u{200b}a",
        "a\u{202e}",
        &"a".repeat(129),
    ] {
        assert_eq!(user(bad), Err(Unfit::User), "{bad:?}");
    }
    assert_eq!(token(&"\u{1b}".repeat(256)), Ok(()));
    assert_eq!(token(""), Err(Unfit::Token));
    assert_eq!(token(&"t".repeat(257)), Err(Unfit::Token));
    assert_eq!(all(NOW_S + 300), Ok(()));
    let ahead = Err(Unfit::Ahead { now_s: NOW_S });
    assert_eq!((all(NOW_S + 301), all(NOW_S * 1_000)), (ahead, ahead));
}

#[test]
fn a_torn_file_keeps_what_was_acknowledged_and_a_broken_line_is_told() {
    let token = |id: &str| Revocation::Token { id: id.into() };
    let mut file = Revocations::encode_line(&token("1"), NOW_S + 9);
    file.push_str(&Revocations::encode_line(&token("2\n\"\u{1b}"), NOW_S + 9));
    let whole = file.len();
    file.push_str(&Revocations::encode_line(&token("3"), NOW_S + 9));
    for cut in whole..file.len() {
        let (table, damage) = Revocations::decode(&file.as_bytes()[..cut], NOW_S);
        assert_eq!(
            (table.len(), damage.broken, damage.torn),
            (2, 0, cut > whole)
        );
    }
    let broken = file.replacen("token", "tokem", 1);
    let (table, damage) = Revocations::decode(broken.as_bytes(), NOW_S);
    assert_eq!((table.len(), damage.broken), (2, 1));
    assert!(Revocations::decode(&[0xff; 100], NOW_S).0.is_empty());
}

#[test]
fn what_is_not_understood_in_our_claims_refuses_the_token() {
    for taut in [
        json!(1),
        json!({"roles": ["nobody"]}),
        json!({"roles": [1]}),
        json!({"roles": {"editor": true}}),
        json!({"grants": ["lobby"]}),
        json!({"grants": {"lobby": "jion"}}),
        json!({"grants": {"lobby": 1}}),
        json!({"grants": {"lob*": "join"}}),
        json!({"grants": {"": "join"}}),
        json!({"grants": {"x-$user": "join"}}),
        // A word that may be meant to forbid something, or a slip that grants nothing.
        json!({"grants": {"**": "*"}, "deny": {"secret": "*"}}),
        json!({"role": "editor"}),
        json!({"grants": (0..65).map(|n| (format!("r{n}"), json!("join"))).collect::<Map<_, _>>()}),
    ] {
        let error = judge(&verifier(), &mint(&claims(json!({"taut": taut})))).unwrap_err();
        assert!(matches!(error, AuthError::Claim { .. }), "{taut} {error}");
        assert!(!error.to_string().chars().any(char::is_control));
    }
}

#[test]
fn claims_and_roles_become_one_grant_that_says_where_each_rule_is_from() {
    let mut verifier = verifier();
    let all = read_rule("lobby", "join", "role member").unwrap();
    verifier.roles.add("member", [all]);
    verifier.demands.roles = vec!["member".into()];
    let taut =
        json!({"roles": "editor", "grants": {"users/$user/**": ["*"], "docs/old": "history"}});
    let ana = judge(&verifier, &mint(&claims(json!({"taut": taut})))).unwrap();
    let decide = |room: &str, right| {
        let room = RoomName::parse(room).unwrap();
        ana.grant
            .decide(&room, right, ana.user.as_deref())
            .to_string()
    };
    for (room, right, said) in [
        ("lobby", Right::Join, "yes, role member: lobby allows join"),
        ("lobby", Right::Publish, "no, nothing allows it"),
        (
            "users/ana/x",
            Right::State,
            "yes, claim taut.grants[\"users/$user/**\"]: users/$user/** allows join publish history who state",
        ),
        ("users/bo/x", Right::State, "no, nothing allows it"),
        (
            "docs/old",
            Right::History,
            "no, role editor: docs/** allows join publish history who state forbids history",
        ),
    ] {
        assert_eq!(decide(room, right), said);
    }
}

#[test]
fn what_peers_are_told_tells_nothing_of_keys_and_settings() {
    let mut verifier = verifier();
    verifier.demands.issuers = vec!["https://secret-issuer.example".into()];
    for token in [
        "x",
        &mint(&claims(json!({}))),
        &forged(&json!({"alg": "none"}), &claims(json!({})), b"x"),
    ] {
        let error = judge(&verifier, token).unwrap_err();
        for text in [
            error.said().to_owned(),
            error.to_string(),
            format!("{error:?}"),
        ] {
            assert!(!text.contains("secret-issuer") && !text.contains(token) || token == "x");
        }
    }
    let shown = format!("{verifier:?}");
    assert!(!shown.contains("horse") && !shown.contains("99, 111, 114"));
    let short = Key::secret(Algorithm::Hs512, None, b"hunter2").unwrap_err();
    assert!(!short.to_string().contains("hunter2"));
}

fn jwk(algorithm: Algorithm, id: &str) -> (String, Value) {
    let (private, public) = pair(algorithm);
    let der = STANDARD.decode(public.lines().nth(1).unwrap()).unwrap();
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = match algorithm {
        Algorithm::EdDsa => {
            json!({"kty": "OKP", "crv": "Ed25519", "x": text(&der[der.len() - 32..])})
        }
        Algorithm::Es256 => {
            let point = &der[der.len() - 64..];
            json!({"kty": "EC", "crv": "P-256", "x": text(&point[..32]), "y": text(&point[32..]), "alg": "ES256"})
        }
        Algorithm::Es512 => {
            let point = &der[der.len() - 132..];
            json!({"kty": "EC", "crv": "P-521", "x": text(&point[..66]), "y": text(&point[66..])})
        }
        // The modulus of 2048 bits, and the exponent 65537 behind it.
        _ => {
            json!({"kty": "RSA", "n": text(&der[der.len() - 261..der.len() - 5]), "e": "AQAB", "use": "sig"})
        }
    };
    let mut key = key;
    key["kid"] = id.into();
    (private, key)
}

#[test]
fn a_key_set_is_read_and_what_is_no_signing_key_is_left_out() {
    let kinds = [
        (Algorithm::Rs256, "a"),
        (Algorithm::Es256, "b"),
        (Algorithm::EdDsa, "c"),
        (Algorithm::Es512, "d"),
    ];
    let pairs = kinds.map(|(algorithm, id)| (algorithm, id, jwk(algorithm, id)));
    let mut keys: Vec<Value> = pairs.iter().map(|(_, _, (_, key))| key.clone()).collect();
    let with = |name: &str, value: Value| {
        let mut key = keys[0].clone();
        key[name] = value;
        key
    };
    let useless = [
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("HS256")),
        with("alg", json!("ES256")),
        with("alg", json!("none")),
        with("n", json!("AQAB")),
        with("n", json!("*")),
        with("kid", json!("k".repeat(300))),
        json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "alg": "HS256"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kty": "new"}),
        json!(7),
    ];
    let skipped = useless.len();
    keys.extend(useless);
    let set = KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap();
    assert_eq!((set.keys.len(), set.skipped), (4, skipped));
    for (algorithm, id, (private, _)) in &pairs {
        let signing = SigningKey::pem(*algorithm, private.as_bytes()).unwrap();
        let verify = |id| {
            let token = signing.mint(id, &claims(json!({}))).unwrap();
            let none = Verifier {
                keys: Vec::new(),
                ..verifier()
            };
            none.verify(&token, &[&set.keys], &Revocations::default(), NOW_S)
        };
        assert!(verify(Some(id)).is_ok() && verify(None).is_ok());
        assert!(matches!(
            verify(Some("z")),
            Err(AuthError::UnknownKey { .. })
        ));
    }
    for text in [
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[{}]}",
    ] {
        assert!(KeySet::parse(text.as_bytes()).is_err());
    }
    assert!(KeySet::parse(&vec![b' '; (256 << 10) + 1]).is_err());
}

#[test]
fn a_source_that_took_its_time_to_fail_is_left_alone_from_then_on() {
    let mut jwks = Jwks::new(JwksTimes::default());
    jwks.begin(0);
    jwks.fail(4_000);
    assert!(!jwks.needs_fetch(Some("a"), 4_999) && jwks.needs_fetch(Some("a"), 5_000));
    jwks.forget_failures();
    assert!(jwks.needs_fetch(None, 4_000));
}

#[test]
fn a_key_that_is_named_is_tried_before_those_without_a_name() {
    // More of them than are tried for one token.
    let others = (0..12).map(|_| {
        let (_, public) = pair(Algorithm::EdDsa);
        Key::pem(Algorithm::EdDsa, None, public.as_bytes()).unwrap()
    });
    let (private, public) = pair(Algorithm::EdDsa);
    let named = Key::pem(Algorithm::EdDsa, Some("mine".into()), public.as_bytes()).unwrap();
    let verifier = Verifier {
        keys: others.collect(),
        ..verifier()
    };
    let signing = SigningKey::pem(Algorithm::EdDsa, private.as_bytes()).unwrap();
    let token = signing.mint(Some("mine"), &claims(json!({}))).unwrap();
    let verdict = verifier.verify(&token, &[&[named]], &Revocations::default(), NOW_S);
    assert_eq!(
        verdict.map(|who| who.user.unwrap().to_string()),
        Ok("ana".into())
    );
}

#[test]
fn ed25519_goes_by_both_of_its_names() {
    let (private, public) = pair(Algorithm::EdDsa);
    let signing = SigningKey::pem("Ed25519".parse().unwrap(), private.as_bytes()).unwrap();
    let token = signing.mint(None, &claims(json!({}))).unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    let (body, _) = rest.split_once('.').unwrap();
    let signed = format!(
        "{}.{body}",
        URL_SAFE_NO_PAD.encode(json!({"alg": "Ed25519"}).to_string())
    );
    let der = STANDARD.decode(private.lines().nth(1).unwrap()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap();
    let named = format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()))
    );
    let verifier = Verifier {
        keys: vec![Key::pem(Algorithm::EdDsa, None, public.as_bytes()).unwrap()],
        ..verifier()
    };
    assert!(judge(&verifier, &token).is_ok() && judge(&verifier, &named).is_ok());
}

#[test]
fn invented_key_ids_make_nobody_fetch_more_often() {
    let (_, key) = jwk(Algorithm::EdDsa, "a");
    let set = json!({"keys": [key]}).to_string();
    let mut jwks = Jwks::new(JwksTimes::default());
    let mut now_ms = 5_000;
    assert!(jwks.needs_fetch(None, now_ms) && jwks.keys(now_ms).is_empty());
    jwks.begin(now_ms);
    assert!(!jwks.needs_fetch(Some("a"), now_ms));
    assert_eq!(jwks.accept(set.as_bytes(), None, now_ms), Ok(1));
    let mut fetches = 0;
    for attempt in 0..100_000 {
        now_ms += 1;
        if jwks.needs_fetch(Some(&format!("invented {attempt}")), now_ms) {
            fetches += 1;
            jwks.begin(now_ms);
            jwks.accept(set.as_bytes(), None, now_ms).unwrap();
        }
    }
    assert_eq!(fetches, 3);
    assert!(!jwks.needs_fetch(Some("a"), now_ms) && jwks.needs_fetch(Some("b"), now_ms + 30_000));
}

#[test]
fn keys_outlive_a_source_that_fails_and_not_for_ever() {
    let (_, key) = jwk(Algorithm::EdDsa, "a");
    let set = json!({"keys": [key]}).to_string();
    let mut jwks = Jwks::new(JwksTimes::default());
    jwks.begin(0);
    jwks.accept(set.as_bytes(), Some(1), 0).unwrap();
    assert!(!jwks.needs_fetch(None, 59_999) && jwks.needs_fetch(None, 60_000));
    jwks.begin(60_000);
    assert!(jwks.accept(b"<html>", None, 60_000).is_err());
    assert_eq!(jwks.keys(60_000).len(), 1);
    // It is tried again, less and less often.
    let mut waits = Vec::new();
    let mut now_ms = 60_000;
    for _ in 0..9 {
        let tried = now_ms;
        while !jwks.needs_fetch(Some("a"), now_ms) {
            now_ms += 500;
        }
        waits.push((now_ms - tried) / 1_000);
        jwks.begin(now_ms);
        jwks.fail(now_ms);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(jwks.keys(86_399_999).len(), 1);
    assert!(jwks.keys(86_400_000).is_empty());
}

proptest! {
    #[test]
    fn nothing_that_is_changed_in_a_token_is_accepted(at in 0_usize..200, byte in any::<u8>()) {
        let token = mint(&claims(json!({})));
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes) && changed != token {
            prop_assert!(judge(&verifier(), &changed).is_err());
        }
    }

    #[test]
    fn no_token_and_no_key_set_is_ever_a_panic(token in "[A-Za-z0-9_.-]{0,80}", text in any::<String>(), bytes in any::<Vec<u8>>()) {
        for token in [&token, &text] {
            let _ = Token::parse(token);
            let _ = judge(&verifier(), token);
        }
        let _ = KeySet::parse(&bytes);
        let _ = Revocations::decode(&bytes, NOW_S);
    }
}
