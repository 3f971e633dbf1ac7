//! `Sec-WebSocket-Extensions` (RFC 6455 §9.1) and the parameters of permessage-deflate (RFC 7692 §7.1).

use std::borrow::Cow;

/// What a client of ours offers: no context takeover, and any window that the server may want of us.
pub const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits";

const NAME: &str = "permessage-deflate";

/// The terms of an agreed permessage-deflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Params {
    /// How far back our own compressed messages may look, as a power of two, 8 to 15: the argument of
    /// [`Deflater::deflate`](super::deflate::Deflater::deflate). The peer's may look back as far as they like, our inflater keeps 15 bits.
    pub window_bits: u8,
}

/// Server side: picks the first offer that we can honour. The values are those of all extension fields, in order.
///
/// # Errors
///
/// A text when a field is malformed, which fails the handshake (RFC 6455 §9.1). An offer with a parameter that is
/// unknown, repeated or out of range is only declined (RFC 7692 §7.1).
pub fn accept_offer<'v>(
    values: impl IntoIterator<Item = &'v str>,
) -> Result<Option<Params>, &'static str> {
    let mut accepted = None;
    for value in values {
        for extension in parse_extensions(value)? {
            if accepted.is_none() && extension.name.eq_ignore_ascii_case(NAME) {
                accepted = read_params(&extension).map(|offered| Params {
                    window_bits: offered.server_max_window_bits.flatten().unwrap_or(15),
                });
            }
        }
    }
    Ok(accepted)
}

/// Server side: appends the value that accepts an offer.
pub fn encode_params(out: &mut Vec<u8>, params: Params) {
    out.extend_from_slice(
        b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    );
    if params.window_bits < 15 {
        out.extend_from_slice(b"; server_max_window_bits=");
        out.extend_from_slice(params.window_bits.to_string().as_bytes());
    }
}

/// Client side: checks what the server made of [`OFFER`]; `None` when it took none of it.
///
/// # Errors
///
/// A text when the answer is malformed, names what was not offered, or keeps a context that was asked not to be kept
/// (RFC 7692 §7.1.1.1): the connection is to be failed.
pub fn check_answer<'v>(
    values: impl IntoIterator<Item = &'v str>,
) -> Result<Option<Params>, &'static str> {
    let mut agreed = None;
    for value in values {
        for extension in parse_extensions(value)? {
            if !extension.name.eq_ignore_ascii_case(NAME) || agreed.is_some() {
                return Err("the server answered with an extension that was not offered");
            }
            let answered = read_params(&extension).ok_or(
                "the server answered with unknown or invalid permessage-deflate parameters",
            )?;
            if !answered.server_no_context_takeover {
                return Err("the server did not take up server_no_context_takeover");
            }
            let window_bits = answered
                .client_max_window_bits
                .unwrap_or(Some(15))
                .ok_or("the server's client_max_window_bits has no value")?;
            agreed = Some(Params { window_bits });
        }
    }
    Ok(agreed)
}

/// The parameters as they stand; a window parameter that is there without a value is `Some(None)`.
#[derive(Debug, Default)]
struct RawParams {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<Option<u8>>,
    client_max_window_bits: Option<Option<u8>>,
}

/// `None` when a parameter is unknown, comes twice or has a value that it must not have.
fn read_params(extension: &Extension<'_>) -> Option<RawParams> {
    let mut params = RawParams::default();
    for (name, value) in &extension.params {
        let value = value.as_deref();
        if name.eq_ignore_ascii_case("server_no_context_takeover") {
            read_flag(&mut params.server_no_context_takeover, value)?;
        } else if name.eq_ignore_ascii_case("client_no_context_takeover") {
            read_flag(&mut params.client_no_context_takeover, value)?;
        } else if name.eq_ignore_ascii_case("server_max_window_bits") {
            read_bits(&mut params.server_max_window_bits, value)?;
            params.server_max_window_bits.flatten()?;
        } else if name.eq_ignore_ascii_case("client_max_window_bits") {
            read_bits(&mut params.client_max_window_bits, value)?;
        } else {
            return None;
        }
    }
    Some(params)
}

fn read_flag(flag: &mut bool, value: Option<&str>) -> Option<()> {
    if *flag || value.is_some() {
        return None;
    }
    *flag = true;
    Some(())
}

/// 8 to 15, in decimal, without leading zeros (RFC 7692 §7.1.2).
fn read_bits(bits: &mut Option<Option<u8>>, value: Option<&str>) -> Option<()> {
    if bits.is_some() {
        return None;
    }
    *bits = Some(match value {
        None => None,
        Some("8") => Some(8),
        Some("9") => Some(9),
        Some("10") => Some(10),
        Some("11") => Some(11),
        Some("12") => Some(12),
        Some("13") => Some(13),
        Some("14") => Some(14),
        Some("15") => Some(15),
        Some(_) => return None,
    });
    Some(())
}

/// One element of the list: a name and its parameters in order.
#[derive(Debug)]
struct Extension<'v> {
    name: &'v str,
    params: Vec<(&'v str, Option<Cow<'v, str>>)>,
}

const MALFORMED: &str = "the Sec-WebSocket-Extensions field is malformed";

/// Parses one field's value; empty list elements are skipped (RFC 9110 §5.6.1).
fn parse_extensions(value: &str) -> Result<Vec<Extension<'_>>, &'static str> {
    let mut extensions = Vec::new();
    let mut rest = value;
    loop {
        rest = skip_blank(rest);
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return Ok(extensions);
        }
        let (extension, after) = parse_extension(rest)?;
        extensions.push(extension);
        rest = after;
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(MALFORMED);
        }
    }
}

/// `token *( ";" token [ "=" ( token / quoted-string ) ] )`
fn parse_extension(value: &str) -> Result<(Extension<'_>, &str), &'static str> {
    let (name, rest) = parse_token(value)?;
    let mut rest = skip_blank(rest);
    let mut params = Vec::new();
    while let Some(after) = rest.strip_prefix(';') {
        let (name, after) = parse_token(skip_blank(after))?;
        rest = skip_blank(after);
        let mut value = None;
        if let Some(after) = rest.strip_prefix('=') {
            let after = skip_blank(after);
            let (token, after) = match after.strip_prefix('"') {
                Some(quoted) => parse_quoted(quoted)?,
                None => parse_token(after).map(|(token, after)| (Cow::Borrowed(token), after))?,
            };
            value = Some(token);
            rest = skip_blank(after);
        }
        params.push((name, value));
    }
    Ok((Extension { name, params }, rest))
}

/// A quoted string behind its opening quote; what it says must be a token too (RFC 6455 §9.1).
fn parse_quoted(value: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let mut text = String::new();
    let mut characters = value.char_indices();
    while let Some((index, character)) = characters.next() {
        let said = match character {
            '"' if !text.is_empty() => return Ok((Cow::Owned(text), &value[index + 1..])),
            '\\' => characters.next().map(|(_, escaped)| escaped),
            _ => Some(character),
        };
        match said {
            Some(said) if said.is_ascii() && is_token_byte(said as u8) => text.push(said),
            _ => return Err(MALFORMED),
        }
    }
    Err(MALFORMED)
}

fn parse_token(value: &str) -> Result<(&str, &str), &'static str> {
    let end = value
        .bytes()
        .position(|byte| !is_token_byte(byte))
        .unwrap_or(value.len());
    if end == 0 {
        return Err(MALFORMED);
    }
    Ok(value.split_at(end))
}

fn skip_blank(value: &str) -> &str {
    value.trim_start_matches([' ', '\t'])
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
