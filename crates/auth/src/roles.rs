//! Roles: rules with a name, from the configuration; and how they and a token's claims become one grant.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use taut_hub::{GRANT_RULES_MAX, Grant, GrantRule, Pattern, parse_rights};

use crate::error::AuthError;
use crate::token::shorten;

/// Roles that there may be.
pub const ROLES_MAX: usize = 256;

/// Rules by the name of a role.
#[derive(Clone, Debug, Default)]
pub struct Roles(BTreeMap<String, Vec<GrantRule>>);

/// Why a rule is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(String);

/// Reads one rule: a pattern in which `$user` is the user's name, and rights such as `join publish -state`.
///
/// # Errors
/// The pattern or the rights are none.
pub fn read_rule(
    pattern: &str,
    rights: &str,
    source: impl Into<Arc<str>>,
) -> Result<GrantRule, RuleError> {
    let wrong = |error: &dyn std::fmt::Display| RuleError(error.to_string());
    let pattern = Pattern::parse_for_users(pattern).map_err(|error| wrong(&error))?;
    let (allowed, denied) = parse_rights(rights).map_err(|error| wrong(&error))?;
    Ok(GrantRule {
        pattern,
        allowed,
        denied,
        source: source.into(),
    })
}

impl Roles {
    /// Adds a role, or rules to it.
    pub fn add(&mut self, name: &str, rules: impl IntoIterator<Item = GrantRule>) {
        self.0.entry(name.to_owned()).or_default().extend(rules);
    }

    /// The rules of a role.
    #[must_use]
    pub fn rules(&self, name: &str) -> Option<&[GrantRule]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The grant of who has these roles and nothing else.
    ///
    /// # Errors
    /// There is no such role, or they are too many rules for one grant.
    pub fn grant<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Grant, RuleError> {
        let mut rules = Vec::new();
        for name in names {
            let role = self.rules(name);
            rules.extend_from_slice(
                role.ok_or_else(|| RuleError(format!("there is no role \"{}\"", shorten(name))))?,
            );
        }
        Grant::new(rules).map_err(|error| RuleError(error.to_string()))
    }

    /// The grant of a token with these claims, who has the roles `always` in any case.
    ///
    /// `"taut":{"grants":{"PATTERN":"join publish",…},"roles":["editor",…]}`; rights may be a list as well, roles one string with spaces.
    ///
    /// # Errors
    /// Anything in it that is not understood, a role that is not configured among it: leaving out what forbids something would allow it.
    pub fn grant_of_claims(
        &self,
        claims: &Map<String, Value>,
        always: &[String],
    ) -> Result<Grant, AuthError> {
        let wrong = |claim, text: String| AuthError::Claim { claim, text };
        let none = Map::new();
        let taut = match claims.get("taut") {
            None => &none,
            Some(Value::Object(taut)) => taut,
            Some(_) => return Err(wrong("taut", "is no object".into())),
        };
        let ours = ["as", "grants", "roles"];
        if let Some(strange) = taut.keys().find(|name| !ours.contains(&name.as_str())) {
            let text = format!(
                "has \"{}\", which means nothing here; it holds \"grants\", \"roles\" and \"as\"",
                shorten(strange)
            );
            return Err(wrong("taut", text));
        }
        let mut names: Vec<&str> = always.iter().map(String::as_str).collect();
        names.extend(
            words(taut.get("roles"))
                .ok_or_else(|| wrong("taut.roles", "is no list of names".into()))?,
        );
        let roles = self
            .grant(names)
            .map_err(|error| wrong("taut.roles", format!("is refused: {error}")))?;
        let mut rules = roles.rules().to_vec();
        let grants = match taut.get("grants") {
            None => &none,
            Some(Value::Object(grants)) => grants,
            Some(_) => {
                let text = "is no object of patterns and rights".into();
                return Err(wrong("taut.grants", text));
            }
        };
        if rules.len() + grants.len() > GRANT_RULES_MAX {
            let text =
                format!("has too many rules, at most {GRANT_RULES_MAX} are taken with roles");
            return Err(wrong("taut.grants", text));
        }
        for (pattern, rights) in grants {
            let rights = words(Some(rights))
                .ok_or_else(|| wrong("taut.grants", "has rights that are no words".into()))?;
            let source = format!("claim taut.grants[\"{}\"]", shorten(pattern));
            let rule = read_rule(pattern, &rights.join(" "), source).map_err(|error| {
                wrong(
                    "taut.grants",
                    format!("is refused: {}", shorten_text(&error.to_string())),
                )
            })?;
            rules.push(rule);
        }
        Grant::new(rules).map_err(|error| wrong("taut.grants", format!("is refused: {error}")))
    }
}

/// A list of words, or one string of them; none of nothing.
fn words(value: Option<&Value>) -> Option<Vec<&str>> {
    match value {
        None => Some(Vec::new()),
        Some(Value::String(text)) => Some(text.split_ascii_whitespace().collect()),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
        Some(_) => None,
    }
}

/// A text that quotes a pattern, which may hold anything.
fn shorten_text(text: &str) -> String {
    text.chars()
        .take(256)
        .flat_map(|character| {
            if character.is_control() {
                character.escape_default().collect::<Vec<_>>()
            } else {
                vec![character]
            }
        })
        .collect()
}
