//! `[auth]` and `[roles.NAME]`: who may come in, and what it may do.
//!
//! A role is a table of patterns and rights: `"docs/**" = "join publish -state"`. Keys and secrets may lie in files, which are read once.

use std::path::Path;
use std::sync::Arc;

use taut_auth::{
    API_KEYS_MAX, Algorithm, ApiKey, Auth, Demands, Key, KeySet, Network, ProxyTrust, ROLES_MAX,
    Roles, Verifier, read_rule,
};
use taut_hub::{Grant, GrantRule};
use taut_server::Authorities;
use toml::de::{DeTable, DeValue};

use super::file::Lines;
use super::source::{Place, Problem, Source};
use super::value::describe;

/// The longest file that a key or a key set is read from, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// Keys from the configuration that there may be.
const KEYS_MAX: usize = 16;

/// What `[auth]` says, as it is written.
#[derive(Debug, Clone)]
pub(crate) struct AuthValues {
    pub(crate) secret: String,
    pub(crate) secret_file: String,
    pub(crate) secret_algorithm: String,
    pub(crate) keys: Vec<String>,
    pub(crate) jwks_file: String,
    pub(crate) jwks_url: String,
    pub(crate) jwks_ca_file: String,
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) leeway_ms: u64,
    pub(crate) life_ms_max: u64,
    pub(crate) user_claim: String,
    pub(crate) roles: Vec<String>,
    pub(crate) anonymous: Vec<String>,
    pub(crate) api_keys: Vec<String>,
    pub(crate) certificates: bool,
    pub(crate) certificate_roles: Vec<String>,
    pub(crate) proxies: Vec<String>,
    pub(crate) proxy_header: String,
    pub(crate) proxy_roles: Vec<String>,
}

impl Default for AuthValues {
    fn default() -> Self {
        let demands = Demands::default();
        Self {
            secret: String::new(),
            secret_file: String::new(),
            secret_algorithm: "HS256".into(),
            keys: Vec::new(),
            jwks_file: String::new(),
            jwks_url: String::new(),
            jwks_ca_file: String::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway_ms: demands.leeway_s * 1_000,
            life_ms_max: demands.life_s_max * 1_000,
            user_claim: demands.user_claim,
            roles: Vec::new(),
            anonymous: Vec::new(),
            api_keys: Vec::new(),
            certificates: false,
            certificate_roles: Vec::new(),
            proxies: Vec::new(),
            proxy_header: String::new(),
            proxy_roles: Vec::new(),
        }
    }
}

/// One line of a `[roles.NAME]`.
#[derive(Debug, Clone)]
pub(crate) struct RoleRule {
    pub(crate) role: String,
    /// As it is written, to be shown.
    pub(crate) pattern: String,
    pub(crate) rights: String,
    pub(crate) place: Place,
    pub(crate) rule: GrantRule,
}

/// Reads the table `roles`.
pub(crate) fn read_roles(tables: &DeTable<'_>, lines: &Lines) -> (Vec<RoleRule>, Vec<Problem>) {
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    for (name, table) in tables {
        let role = name.get_ref();
        let mut complain = |offset, text| {
            let source = Source::File(lines.place(offset));
            problems.push(Problem { source, text });
        };
        let DeValue::Table(entries) = table.get_ref() else {
            let text = format!(
                "`roles.{role}` is a table; write [roles.{role}], then \"PATTERN\" = \"join publish\", instead of {}",
                describe(table.get_ref())
            );
            complain(name.span().start, text);
            continue;
        };
        if role.contains(char::is_whitespace) || role.is_empty() {
            let text = format!("`{role}` is no name for a role; leave white space out");
            complain(name.span().start, text);
            continue;
        }
        for (pattern, rights) in entries {
            let place = lines.place(pattern.span().start);
            let DeValue::String(words) = rights.get_ref() else {
                let text = format!(
                    "`roles.{role}`: {} is not allowed; use rights such as \"join publish\"",
                    describe(rights.get_ref())
                );
                complain(rights.span().start, text);
                continue;
            };
            let source = format!("role {role}, {place}");
            match read_rule(pattern.get_ref(), words, source) {
                Ok(rule) => rules.push(RoleRule {
                    role: role.to_string(),
                    pattern: pattern.get_ref().to_string(),
                    rights: words.to_string(),
                    place,
                    rule,
                }),
                Err(error) => {
                    complain(pattern.span().start, format!("`roles.{role}`: {error}"));
                }
            }
        }
    }
    rules.sort_by_key(|rule| rule.place.line);
    (rules, problems)
}

/// What the server is told; `None` where nobody is asked who they are. `is_asked`: the application is, whose answers may name roles. `source` says where a setting comes from.
///
/// # Errors
/// All that is wrong. No text has any of a secret in it.
pub(crate) fn build(
    values: &AuthValues,
    rules: &[RoleRule],
    is_asked: bool,
    source: impl Fn(&str) -> Source,
) -> Result<Option<Arc<Auth>>, Vec<Problem>> {
    let mut builder = Builder {
        source: &source,
        problems: Vec::new(),
    };
    let mut roles = Roles::default();
    for rule in rules {
        roles.add(&rule.role, [rule.rule.clone()]);
    }
    if roles.names().count() > ROLES_MAX {
        builder.complain(
            "auth.roles",
            &format!("there are more than {ROLES_MAX} roles"),
        );
    }
    let keys = builder.keys(values);
    let jwks_authorities = builder.jwks_authorities(values);
    let api_keys = builder.api_keys(values);
    // A grant of all of them, so that a name that is none, or too many rules, are told at the start.
    let member = roles.grant(values.roles.iter().map(String::as_str));
    if let Err(error) = member {
        builder.complain("auth.roles", &error.to_string());
    }
    let anonymous = roles.grant(values.anonymous.iter().map(String::as_str));
    let mut anonymous = anonymous.unwrap_or_else(|error| {
        builder.complain("auth.anonymous", &error.to_string());
        Grant::nothing()
    });
    let by_certificate = builder.by_certificate(values, &roles);
    let by_proxy = builder.by_proxy(values, &roles);
    let vouches = by_certificate.is_some() || by_proxy.is_some();
    let asks =
        vouches || !keys.is_empty() || !values.jwks_url.is_empty() || !values.jwks_file.is_empty();
    if !builder.problems.is_empty() {
        return Err(builder.problems);
    }
    let is_restricted = asks || !values.anonymous.is_empty();
    if !is_restricted {
        if api_keys.is_empty() && !is_asked {
            return Ok(None);
        }
        // Rooms are open to everybody, as far as this server knows.
        let rule = read_rule("**", "*", "open server");
        anonymous = rule
            .ok()
            .and_then(|rule| Grant::new(vec![rule]).ok())
            .unwrap_or_default();
    }
    Ok(Some(Arc::new(Auth {
        verifier: Verifier {
            keys,
            demands: Demands {
                issuers: values.issuers.clone(),
                audiences: values.audiences.clone(),
                leeway_s: values.leeway_ms / 1_000,
                life_s_max: values.life_ms_max / 1_000,
                user_claim: values.user_claim.clone(),
                roles: values.roles.clone(),
            },
            roles,
        },
        by_certificate,
        by_proxy,
        jwks_file: (!values.jwks_file.is_empty()).then(|| values.jwks_file.clone().into()),
        jwks_url: (!values.jwks_url.is_empty()).then(|| values.jwks_url.clone()),
        jwks_authorities,
        anonymous: Arc::new(anonymous),
        is_restricted,
        api_keys,
    })))
}

/// The proxies that may say whom they connect for; what is none of them is told by [`build`].
pub(crate) fn proxies(values: &AuthValues) -> Vec<Network> {
    values
        .proxies
        .iter()
        .filter_map(|one| one.parse().ok())
        .collect()
}

/// The secret of `[auth]`, where there is one.
pub(crate) fn secret(values: &AuthValues) -> Result<Option<Vec<u8>>, String> {
    if !values.secret.is_empty() {
        return Ok(Some(values.secret.clone().into_bytes()));
    }
    if values.secret_file.is_empty() {
        return Ok(None);
    }
    let mut secret = read_file(&values.secret_file)?;
    // Editors and `echo` end a file with a line end, which nobody means.
    while secret
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        secret.pop();
    }
    Ok(Some(secret))
}

struct Builder<'a, S> {
    source: &'a S,
    problems: Vec<Problem>,
}

impl<S: Fn(&str) -> Source> Builder<'_, S> {
    fn complain(&mut self, setting: &str, text: &str) {
        self.problems.push(Problem {
            source: (self.source)(setting),
            text: format!("`{setting}`: {text}"),
        });
    }

    fn keys(&mut self, values: &AuthValues) -> Vec<Key> {
        let mut keys = Vec::new();
        if !values.secret.is_empty() && !values.secret_file.is_empty() {
            let text = "there is a secret in `auth.secret` already; leave one out";
            self.complain("auth.secret_file", text);
        }
        let setting = match values.secret.is_empty() {
            true => "auth.secret_file",
            false => "auth.secret",
        };
        match secret(values) {
            Ok(None) => {}
            Ok(Some(secret)) => match secret_key(values, &secret) {
                Ok(key) => keys.push(key),
                Err(error) => self.complain(setting, &error),
            },
            Err(error) => self.complain(setting, &error),
        }
        for written in &values.keys {
            match read_key(written) {
                Ok(key) => keys.push(key),
                Err(error) => self.complain("auth.keys", &format!("`{written}`: {error}")),
            }
        }
        if !values.jwks_file.is_empty() {
            let set = read_file(&values.jwks_file)
                .and_then(|bytes| KeySet::parse(&bytes).map_err(|error| error.to_string()));
            match set {
                // Fetched by the server, which reads the file again when it changes.
                Ok(_) => {}
                Err(error) => self.complain("auth.jwks_file", &error),
            }
        }
        if keys.len() > KEYS_MAX {
            self.complain(
                "auth.keys",
                &format!("more than {KEYS_MAX} keys; use a key set"),
            );
        }
        if !values.jwks_url.is_empty() && !values.jwks_file.is_empty() {
            let text = "there are keys in `auth.jwks_file` already; leave one out";
            self.complain("auth.jwks_url", text);
        }
        if !values.jwks_url.is_empty() && !is_fetchable(&values.jwks_url) {
            let text = "use an https:// URL; without TLS anybody on the way could hand out keys (http:// only for localhost)";
            self.complain("auth.jwks_url", text);
        }
        keys
    }

    fn jwks_authorities(&mut self, values: &AuthValues) -> Option<Arc<[u8]>> {
        if values.jwks_ca_file.is_empty() {
            return None;
        }
        if values.jwks_url.is_empty() {
            let text = "it vouches for `auth.jwks_url`, which is not set";
            self.complain("auth.jwks_ca_file", text);
        }
        let read = read_file(&values.jwks_ca_file).and_then(|pem| {
            let read = Authorities::from_pem(&pem);
            read.map(|_| pem).map_err(|error| error.to_string())
        });
        match read {
            Ok(pem) => Some(pem.into()),
            Err(error) => {
                self.complain("auth.jwks_ca_file", &error);
                None
            }
        }
    }

    fn grant(&mut self, setting: &str, roles: &Roles, names: &[String]) -> Arc<Grant> {
        let grant = roles.grant(names.iter().map(String::as_str));
        Arc::new(grant.unwrap_or_else(|error| {
            self.complain(setting, &error.to_string());
            Grant::nothing()
        }))
    }

    fn by_certificate(&mut self, values: &AuthValues, roles: &Roles) -> Option<Arc<Grant>> {
        let grant = self.grant("auth.certificate_roles", roles, &values.certificate_roles);
        values.certificates.then_some(grant)
    }

    fn by_proxy(&mut self, values: &AuthValues, roles: &Roles) -> Option<ProxyTrust> {
        let grant = self.grant("auth.proxy_roles", roles, &values.proxy_roles);
        let mut networks = Vec::new();
        for written in &values.proxies {
            match written.parse() {
                Ok(network) => networks.push(network),
                Err(error) => self.complain("auth.proxies", &format!("{error}")),
            }
        }
        if values.proxies.is_empty() && !values.proxy_header.is_empty() {
            let text = "whose header? list the addresses of the proxies in auth.proxies";
            self.complain("auth.proxy_header", text);
        }
        (!networks.is_empty() && !values.proxy_header.is_empty()).then(|| ProxyTrust {
            networks,
            user_header: values.proxy_header.clone(),
            grant,
        })
    }

    fn api_keys(&mut self, values: &AuthValues) -> Vec<ApiKey> {
        let mut keys = Vec::new();
        for written in &values.api_keys {
            match written.parse() {
                Ok(key) => keys.push(key),
                // The text may be a key itself, put here by mistake.
                Err(error) => self.complain("auth.api_keys", &format!("{error}")),
            }
        }
        if keys.len() > API_KEYS_MAX {
            self.complain("auth.api_keys", &format!("more than {API_KEYS_MAX} keys"));
        }
        keys
    }
}

fn secret_key(values: &AuthValues, secret: &[u8]) -> Result<Key, String> {
    let algorithm = secret_algorithm(values)?;
    Key::secret(algorithm, None, secret).map_err(|error| error.to_string())
}

/// What the secret signs with.
pub(crate) fn secret_algorithm(values: &AuthValues) -> Result<Algorithm, String> {
    let algorithm = values.secret_algorithm.parse();
    algorithm.map_err(|error: taut_auth::UnknownAlgorithm| error.to_string())
}

/// `ES256:keys/id.pem`, or `ES256:keys/id.pem#2026` where tokens call it by that id.
fn read_key(written: &str) -> Result<Key, String> {
    let (algorithm, rest) = written.split_once(':').ok_or_else(|| {
        "write ALGORITHM:FILE, for example ES256:keys/id.pem, or ES256:keys/id.pem#KID".to_owned()
    })?;
    let algorithm: Algorithm = algorithm
        .parse()
        .map_err(|error: taut_auth::UnknownAlgorithm| error.to_string())?;
    let (path, id) = match rest.rsplit_once('#') {
        Some((path, id)) => (path, Some(id.to_owned())),
        None => (rest, None),
    };
    Key::pem(algorithm, id, &read_file(path)?).map_err(|error| error.to_string())
}

/// Reads a file of a bounded length.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let cannot = |error: std::io::Error| format!("cannot read the file `{path}`: {error}");
    let file = std::fs::File::open(Path::new(path)).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "the file `{path}` has more than {FILE_BYTES_MAX} bytes"
        ));
    }
    Ok(bytes)
}

fn is_fetchable(url: &str) -> bool {
    let loopback = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    let is_local = loopback.iter().any(|start| {
        let rest = url.strip_prefix(start);
        rest.is_some_and(|rest| rest.starts_with([':', '/']))
    });
    url.starts_with("https://") && url.len() > 8 || is_local
}
