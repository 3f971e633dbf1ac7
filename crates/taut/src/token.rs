//! `taut token`: tokens and API keys, made and explained. No secret is ever printed, but for the key that was asked for.

use std::io::{Read as _, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{ArgMatches, FromArgMatches as _};
use serde_json::{Map, Value, json};
use taut_auth::{
    Algorithm, ApiKey, Auth, AuthError, Identity, Key, KeySet, Revocations, SigningKey, Token,
};
use taut_hub::{Right, RoomName};

use crate::cli::{ExplainArgs, MintArgs};
use crate::failure::{Code, Failure};
use crate::load::load;
use crate::settings::Settings;
use crate::settings::auth;

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("mint", matches)) => {
            let args = MintArgs::from_arg_matches(matches).map_err(Failure::usage)?;
            mint(&args, &load(Some(matches))?)
        }
        Some(("explain", matches)) => {
            let args = ExplainArgs::from_arg_matches(matches).map_err(Failure::usage)?;
            explain(&args, &load(Some(matches))?)
        }
        Some(("key", _)) => key(),
        _ => Err(Failure::usage("say `taut token mint`, `explain` or `key`")),
    }
}

fn mint(args: &MintArgs, settings: &Settings) -> Result<(), Failure> {
    let key = signing_key(args, settings)?;
    let values = &settings.values.auth;
    let now_s = now_s();
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    if let Some(user) = &args.user {
        put(&values.user_claim, user.as_str().into());
    }
    put("iat", now_s.into());
    put("exp", now_s.saturating_add(args.life / 1_000).into());
    if let Some(id) = &args.id {
        put("jti", id.as_str().into());
    }
    if let Some(issuer) = values.issuers.first() {
        put("iss", issuer.as_str().into());
    }
    if let Some(audience) = values.audiences.first() {
        put("aud", audience.as_str().into());
    }
    let taut = own_claims(args)?;
    if !taut.is_empty() {
        put("taut", Value::Object(taut));
    }
    let token = key
        .mint(args.kid.as_deref(), &claims)
        .map_err(|error| Failure::new(Code::Failure, error))?;
    // A mistake in a grant shows here and not at the door.
    if let Some(auth) = &settings.values.config.auth {
        let judged = auth.verifier.identity(&claims, now_s);
        judged.map_err(|error| {
            Failure::usage(format!("the server would not take such a token: {error}"))
        })?;
    }
    writeln!(std::io::stdout(), "{token}")?;
    Ok(())
}

fn own_claims(args: &MintArgs) -> Result<Map<String, Value>, Failure> {
    let mut taut = Map::new();
    if let Some(name) = &args.name {
        taut.insert("as".into(), name.as_str().into());
    }
    if !args.roles.is_empty() {
        taut.insert("roles".into(), json!(args.roles));
    }
    let mut grants = Map::new();
    for grant in &args.grants {
        let (pattern, rights) = grant.split_once('=').ok_or_else(|| {
            Failure::usage(format!(
                "`{grant}` is no grant; write PATTERN=RIGHTS, for example 'lobby=join publish'"
            ))
        })?;
        taut_auth::read_rule(pattern, rights, "--grant")
            .map_err(|error| Failure::usage(format!("--grant {grant}: {error}")))?;
        grants.insert(pattern.to_owned(), rights.into());
    }
    if !grants.is_empty() {
        taut.insert("grants".into(), Value::Object(grants));
    }
    Ok(taut)
}

fn signing_key(args: &MintArgs, settings: &Settings) -> Result<SigningKey, Failure> {
    if let (Some(path), Some(algorithm)) = (&args.key, &args.alg) {
        let algorithm: Algorithm = algorithm.parse().map_err(Failure::usage)?;
        let pem = auth::read_file(path).map_err(Failure::usage)?;
        return SigningKey::pem(algorithm, &pem)
            .map_err(|error| Failure::usage(format!("the key `{path}`: {error}")));
    }
    let values = &settings.values.auth;
    let Some(secret) = auth::secret(values).map_err(Failure::usage)? else {
        return Err(Failure::usage("there is no key to sign with").hint(
            "set auth.secret or auth.secret_file (TAUT_AUTH_SECRET), or name a private key: --key FILE --alg ES256",
        ));
    };
    let algorithm = auth::secret_algorithm(values).map_err(Failure::usage)?;
    SigningKey::secret(algorithm, &secret)
        .map_err(|error| Failure::usage(format!("`auth.secret`: {error}")))
}

fn explain(args: &ExplainArgs, settings: &Settings) -> Result<(), Failure> {
    let token = given(&args.token)?;
    let mut out = std::io::stdout();
    let parts = Token::peek(&token);
    if let ([None, None], Err(error)) = (&parts, Token::parse(&token)) {
        return Err(Failure::new(Code::Refused, error));
    }
    for (name, part) in ["header", "claims"].into_iter().zip(&parts) {
        if let Some(part) = part {
            writeln!(out, "{name}  {}", shown(part))?;
        }
    }
    let judged = judge(settings, &token);
    match &judged {
        Ok(identity) => write!(out, "{}", accepted(identity, now_s()))?,
        Err(failure) => writeln!(out, "refused  {}", failure.text)?,
    }
    match judged {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::quiet(Code::Refused)),
    }
}

/// `taut check --token TOKEN ROOM`: what a token may do in a room, and because of which line.
pub(crate) fn check(settings: &Settings, token: &str, room: &str) -> Result<(), Failure> {
    let room = RoomName::parse(room).map_err(Failure::usage)?;
    let token = given(token)?;
    let Some(auth) = &settings.values.config.auth else {
        writeln!(
            std::io::stdout(),
            "{room}: everything is allowed to everybody: there is no key in [auth]"
        )?;
        return Ok(());
    };
    let anonymous = Identity {
        user: None,
        name: None,
        token_id: None,
        issued_s: 0,
        expires_s: 0,
        proof: taut_auth::Proof::Other,
        grant: std::sync::Arc::clone(&auth.anonymous),
    };
    let identity = match token.is_empty() {
        true => anonymous,
        false => judge(settings, &token)?,
    };
    let mut out = std::io::stdout();
    let user = identity.user.as_deref();
    writeln!(out, "{} in {room}", user.unwrap_or("nobody by name"))?;
    for right in Right::ALL {
        let decision = identity.grant.decide(&room, right, user);
        writeln!(out, "  {:<8} {decision}", right.word())?;
    }
    Ok(())
}

fn judge(settings: &Settings, token: &str) -> Result<Identity, Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::new(Code::Refused, error);
    let Some(auth) = &settings.values.config.auth else {
        return Err(refused(
            &"there is no key in [auth], so nobody is asked for a token",
        ));
    };
    let verify = |fetched: &[Key]| {
        let revoked = Revocations::default();
        auth.verifier.verify(token, &[fetched], &revoked, now_s())
    };
    // A key set is fetched only for what the configured keys do not know.
    let judged = match verify(&[]) {
        Err(AuthError::UnknownKey { .. } | AuthError::Signature(_)) => {
            verify(&key_set(auth).map_err(|error| refused(&error))?)
        }
        judged => judged,
    };
    judged.map_err(|error| match error {
        AuthError::Expired { expired_s } => {
            let ago_s = now_s().saturating_sub(expired_s);
            refused(&format!("{error}, {ago_s} seconds ago"))
        }
        error => refused(&error),
    })
}

/// The keys of the set that the server would have now; none where it has no set.
fn key_set(auth: &Auth) -> Result<Vec<Key>, String> {
    let (from, bytes) = match (&auth.jwks_file, &auth.jwks_url) {
        (Some(path), _) => ("auth.jwks_file", auth::read_file(&path.to_string_lossy())),
        (None, Some(_)) => ("auth.jwks_url", taut_server::fetch_key_set(auth)),
        (None, None) => return Ok(Vec::new()),
    };
    let set = bytes.and_then(|bytes| KeySet::parse(&bytes).map_err(|error| error.to_string()));
    set.map(|set| set.keys)
        .map_err(|error| format!("the keys of `{from}` cannot be had: {error}"))
}

/// What a token comes to. What stood in it is escaped.
fn accepted(identity: &Identity, now_s: u64) -> String {
    let mut text = String::from("accepted");
    match &identity.user {
        Some(user) => text.push_str(&format!("  user {user}")),
        None => text.push_str("  no user"),
    }
    let left_s = identity.expires_s.saturating_sub(now_s);
    text.push_str(&format!(", for {left_s} s more\n"));
    for rule in identity.grant.rules() {
        text.push_str(&format!("  {rule}\n"));
    }
    if identity.grant.rules().is_empty() {
        text.push_str("  no rights\n");
    }
    text
}

/// JSON for a terminal: nothing in it steers one.
fn shown(object: &Map<String, Value>) -> String {
    let json = Value::Object(object.clone()).to_string();
    let escape = |character: char| match character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    {
        true => format!("\\u{:04x}", u32::from(character)),
        false => character.to_string(),
    };
    json.chars().map(escape).collect()
}

/// A token as it was given; `-` takes it from stdin, where no list of processes shows it.
fn given(token: &str) -> Result<String, Failure> {
    if token != "-" {
        return Ok(token.trim().to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().take(64 << 10).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("cannot read the token from stdin: {error}")))?;
    Ok(text.trim().to_owned())
}

fn key() -> Result<(), Failure> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(Code::Failure, format!("no randomness: {error}")))?;
    let (key, hash) = ApiKey::generate(random);
    let mut out = std::io::stdout();
    writeln!(out, "key   {key}")?;
    writeln!(out, "hash  {hash}")?;
    Ok(())
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
