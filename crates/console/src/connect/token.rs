//! `--token`: a token goes where the URL's protocol has a place for it, and nowhere else.

use std::path::Path;

use taut_dial::{Scheme, Url};

use super::ConnectArgs;
use crate::{Code, Ended};

/// A file that is longer holds no token.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// Puts the token into the request's fields.
///
/// # Errors
/// Where the protocol has no place for it, or there is none that could be sent.
pub(super) fn carry(mut args: ConnectArgs, url: &Url) -> Result<ConnectArgs, Ended> {
    let token = match (args.token.take(), &args.token_file) {
        (Some(token), _) => token,
        (None, Some(path)) => read(path)?,
        (None, None) => return Ok(args),
    };
    let has_fields = matches!(url.scheme, Scheme::Http | Scheme::Https);
    if !has_fields && !url.scheme.is_websocket() {
        return Err(usage(
            "only http://, https://, ws:// and wss:// have a place for a token; to a Taut server say it yourself: {\"auth\":\"TOKEN\"}, or /auth TOKEN".to_owned(),
        ));
    }
    let is_field = |name: &str| name.eq_ignore_ascii_case("authorization");
    if args.headers.iter().any(|(name, _)| is_field(name)) {
        return Err(usage(
            "--token and an Authorization field are the same twice; leave one out".to_owned(),
        ));
    }
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(usage("a token is one word of ASCII".to_owned()));
    }
    let field = ("Authorization".to_owned(), format!("Bearer {token}"));
    args.headers.push(field);
    Ok(args)
}

fn read(path: &Path) -> Result<String, Ended> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| usage(format!("cannot read the token file `{shown}`: {error}")))?;
    match text.len() {
        0..=TOKEN_BYTES_MAX => Ok(text),
        _ => Err(usage(format!("the file `{shown}` holds no token"))),
    }
}

fn usage(text: String) -> Ended {
    Ended::new(Code::Usage, text)
}
