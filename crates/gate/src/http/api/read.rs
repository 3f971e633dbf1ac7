//! From a request to a [`Call`], by the table.

use std::borrow::Cow;

use taut_hub::{ConnId, Pattern, RoomName};
use taut_wire::http::{Method, Request, target};

use super::table::{Kind, Stands};
use super::{
    Call, Conns, Cursor, Deed, ENDPOINTS, Endpoint, PAGE_ENTRIES, Place, Revoke, Rooms,
    RoomsCursor, Select,
};
use crate::http::parameters::{is_on, parse_room};
use crate::http::{Action, Problem, Site, route};

/// The query of a request that knows its parameters.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pairs: Vec<(&'static str, Cow<'a, str>)>,
}

/// Understands a request whose path begins with `/api`.
///
/// # Errors
/// What is wrong with it, and what there is instead.
pub fn api(request: &Request<'_>, site: &Site) -> Result<Action, Problem> {
    let mut known = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.path == request.path)
        .peekable();
    if known.peek().is_none() {
        let detail = "the server API has no such path; /api/openapi.json says which there are";
        return Err(Problem::new(404, "not-found", detail));
    }
    if matches!(request.method, Method::Options) {
        let allow = allowed(request.path);
        return Ok(Action::Preflight { allow });
    }
    let method = match request.method {
        Method::Head => "GET",
        method => method.name(),
    };
    let Some(endpoint) = known.find(|endpoint| endpoint.method == method) else {
        let allow = allowed(request.path);
        return Err(Problem {
            allow: Some(allow),
            ..Problem::new(405, "method-not-allowed", format!("this is for {allow}"))
        });
    };
    let given = Given::read(endpoint, request)?;
    let asked = endpoint.understand(&given, request, site)?;
    Ok(Action::Api(Box::new(asked)))
}

/// The methods of a path, as `Allow` lists them.
fn allowed(path: &str) -> &'static str {
    let has = |method| {
        let mut all = ENDPOINTS.iter();
        all.any(|endpoint| endpoint.path == path && endpoint.method == method)
    };
    match (has("GET"), has("POST"), has("PUT")) {
        (true, _, true) => "GET, HEAD, PUT, DELETE, OPTIONS",
        (true, ..) => "GET, HEAD, OPTIONS",
        _ => "POST, OPTIONS",
    }
}

/// What is shown: the word behind `Bearer` (RFC 6750 §2.1).
pub(super) fn bearer(request: &Request<'_>) -> Option<String> {
    let shown = request.headers.first("authorization")?;
    let (scheme, word) = shown.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| word.trim().to_owned())
}

impl<'a> Given<'a> {
    fn read(endpoint: &Endpoint, request: &Request<'a>) -> Result<Self, Problem> {
        let mut pairs: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for pair in target::query_pairs(request.query.unwrap_or_default()) {
            let (name, value) = pair.map_err(|error| bad_query(error.to_string()))?;
            let mut queries = endpoint
                .parameters
                .iter()
                .filter(|known| known.stands == Stands::InQuery);
            let Some(known) = queries.find(|known| known.name == name) else {
                return Err(unknown(endpoint, &name));
            };
            if pairs.iter().any(|(name, _)| *name == known.name) {
                return Err(bad_query(format!("?{}= stands there twice", known.name)));
            }
            check(known.kind, known.name, &value)?;
            pairs.push((known.name, value));
        }
        let given = Self { pairs };
        let missing = endpoint
            .parameters
            .iter()
            .find(|known| known.required && given.text(known.name).is_none());
        match missing {
            Some(missing) => Err(bad_query(format!(
                "?{}= is missing. {}",
                missing.name, missing.about
            ))),
            None => Ok(given),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        pairs
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_ref())
    }

    pub(super) fn room(&self) -> Result<Option<RoomName>, Problem> {
        self.text("room").map(parse_room).transpose()
    }

    fn the_room(&self) -> Result<RoomName, Problem> {
        let missing = || bad_query("name the room, for example ?room=lobby".to_owned());
        self.room()?.ok_or_else(missing)
    }

    fn select(&self) -> Result<Select, Problem> {
        let address = self.text("address").map(|text| {
            let wrong = |_| bad_query("?address= is an IP address, without a port".to_owned());
            text.parse().map_err(wrong)
        });
        Ok(Select {
            conn: self.conn()?,
            room: self.room()?,
            user: self.text("user").map(Into::into),
            door: self.text("door").map(str::to_owned),
            address: address.transpose()?,
        })
    }

    fn place(&self) -> Result<Place, Problem> {
        Ok(Place {
            room: self.the_room()?,
            namespace: self.text("namespace").map(Into::into),
        })
    }

    fn limit(&self) -> u32 {
        let limit = self.text("limit").and_then(|text| text.parse().ok());
        limit.unwrap_or(PAGE_ENTRIES)
    }

    fn cursor(&self) -> Result<Cursor, Problem> {
        let cursor = self
            .text("cursor")
            .map_or(Some(Cursor::default()), Cursor::parse);
        cursor.ok_or_else(no_cursor)
    }

    fn rooms_cursor(&self) -> Result<RoomsCursor, Problem> {
        let begin = RoomsCursor::Memory(Cursor::default());
        let cursor = self.text("cursor").map_or(Some(begin), RoomsCursor::parse);
        cursor.ok_or_else(no_cursor)
    }

    fn conn(&self) -> Result<Option<(u16, ConnId)>, Problem> {
        let wrong = || bad_query("?conn= is no id of a Conn; they look like c0-12-34".to_owned());
        let conn = self.text("conn");
        conn.map(|text| conn_of(text).ok_or_else(wrong)).transpose()
    }
}

fn no_cursor() -> Problem {
    bad_query("?cursor= is no cursor of this server; begin without one".to_owned())
}

fn unknown(endpoint: &Endpoint, name: &str) -> Problem {
    let known: Vec<&str> = endpoint
        .parameters
        .iter()
        .filter(|known| known.stands == Stands::InQuery)
        .map(|known| known.name)
        .collect();
    let name: String = name.chars().take(32).collect();
    bad_query(match known.is_empty() {
        true => format!("?{name}= means nothing here; this takes no parameters"),
        false => format!(
            "?{name}= means nothing here; there are {}",
            known.join(", ")
        ),
    })
}

fn check(kind: Kind, name: &str, value: &str) -> Result<(), Problem> {
    let wrong = |is: String| Err(bad_query(format!("?{name}= {is}")));
    match kind {
        // Read where they are used, with what is wrong with them.
        Kind::Text | Kind::Room | Kind::Conn | Kind::Address => Ok(()),
        Kind::Word(max) if (1..=max).contains(&value.len()) => Ok(()),
        Kind::Word(max) => wrong(format!("has 1 to {max} bytes, and not {}", value.len())),
        Kind::Whole(min, max) => {
            let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
            match value.parse::<u64>() {
                Ok(number) if is_plain && (min..=max).contains(&number) => Ok(()),
                _ => wrong(format!("is a whole number from {min} to {max}")),
            }
        }
        Kind::Switch if is_switch(value) => Ok(()),
        Kind::Switch => wrong("is true or false, or 1 or 0".to_owned()),
        Kind::OneOf(words) if words.contains(&value) => Ok(()),
        Kind::OneOf(words) => wrong(format!("is one of {}", words.join(", "))),
    }
}

fn is_switch(value: &str) -> bool {
    matches!(value, "" | "0" | "1" | "false" | "true")
}

fn bad_query(detail: String) -> Problem {
    Problem::new(400, "bad-query", detail)
}

/// Reads what [`conn_id`](crate::conn_id) writes.
#[must_use]
pub fn conn_of(text: &str) -> Option<(u16, ConnId)> {
    let mut parts = text.strip_prefix('c')?.split('-');
    let core = parts.next()?.parse().ok()?;
    let slot = parts.next()?.parse().ok()?;
    let generation = parts.next()?.parse().ok()?;
    let conn = ConnId { slot, generation };
    parts.next().is_none().then_some((core, conn))
}

fn of_room(action: Action) -> Call {
    Call::Room(Box::new(match action {
        Action::Publish(mut publish) => {
            publish.name.get_or_insert_with(|| "server".into());
            Action::Publish(publish)
        }
        Action::Delete(mut deletion) => {
            deletion.name.get_or_insert_with(|| "server".into());
            Action::Delete(deletion)
        }
        action => action,
    }))
}

pub(super) fn publish(given: &Given<'_>, request: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    route::publish(request, given.the_room()?, false).map(of_room)
}

pub(super) fn batch(given: &Given<'_>, request: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    route::publish(request, given.the_room()?, true).map(of_room)
}

pub(super) fn set(given: &Given<'_>, request: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    route::publish(request, given.the_room()?, false).map(of_room)
}

pub(super) fn delete(given: &Given<'_>, request: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    route::delete(request, given.the_room()?).map(of_room)
}

pub(super) fn history(
    given: &Given<'_>,
    request: &Request<'_>,
    site: &Site,
) -> Result<Call, Problem> {
    route::history(request, site, given.the_room()?).map(of_room)
}

pub(super) fn who(given: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    Ok(of_room(Action::Who {
        room: given.the_room()?,
        counts: given.text("counts").is_some_and(is_on),
    }))
}

pub(super) fn state(given: &Given<'_>, request: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    route::state(request, given.the_room()?).map(of_room)
}

pub(super) fn rooms(given: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    let pattern = given.text("match").unwrap_or("**");
    Ok(Call::Rooms(Rooms {
        pattern: Pattern::parse(pattern).map_err(|error| bad_query(error.to_string()))?,
        cursor: given.rooms_cursor()?,
        limit: given.limit(),
    }))
}

pub(super) fn conns(given: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    Ok(Call::Conns(Box::new(Conns {
        select: given.select()?,
        deed: Deed::List,
        cursor: given.cursor()?,
        limit: given.limit(),
    })))
}

/// To whom must be said, or a forgotten parameter would reach everybody.
pub(super) fn disconnect(given: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    let select = given.select()?;
    if given.pairs.is_empty() || (select.conn.is_some() && given.pairs.len() > 1) {
        let detail = "say to whom: either ?conn=c0-12-34, or all of ?user=ana, ?address=192.0.2.7, ?room=lobby";
        return Err(bad_query(detail.to_owned()));
    }
    Ok(all_of(select, Deed::Disconnect))
}

pub(super) fn join(given: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    done(given, Deed::Join(given.place()?))
}

pub(super) fn leave(given: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    done(given, Deed::Leave(given.place()?))
}

/// Something done to a Conn or to all of a user: to which must be said.
fn done(given: &Given<'_>, deed: Deed) -> Result<Call, Problem> {
    let select = Select {
        conn: given.conn()?,
        user: given.text("user").map(Into::into),
        ..Select::default()
    };
    if select.conn.is_some() == select.user.is_some() {
        let detail = "say to whom: either ?conn=c0-12-34 or ?user=ana";
        return Err(bad_query(detail.to_owned()));
    }
    Ok(all_of(select, deed))
}

fn all_of(select: Select, deed: Deed) -> Call {
    Call::Conns(Box::new(Conns {
        select,
        deed,
        cursor: Cursor::default(),
        limit: u32::MAX,
    }))
}

pub(super) fn reload(_: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    Ok(Call::Reload)
}

pub(super) fn revoke(given: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    let asked = [
        given.text("user").map(|user| Ok(Revoke::User(user.into()))),
        given.text("token").map(|id| Ok(Revoke::Token(id.into()))),
        given.text("issued_before").map(|time| {
            let wrong = |_| bad_query("?issued_before= is a second of Unix time".to_owned());
            time.parse().map(Revoke::IssuedBefore).map_err(wrong)
        }),
    ];
    let mut asked = asked.into_iter().flatten();
    match (asked.next(), asked.next()) {
        (Some(revoke), None) => revoke.map(Call::Revoke),
        _ => Err(bad_query(
            "say one of ?user=, ?token= and ?issued_before=".to_owned(),
        )),
    }
}

pub(super) fn policy(given: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    given.the_room().map(Call::Policy)
}

pub(super) fn grant(given: &Given<'_>, request: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    let room = given.the_room()?;
    let token = request.headers.first("taut-token").map(str::to_owned);
    let Some(conn) = given.conn()? else {
        return Ok(Call::Grant { room, token });
    };
    let select = Select {
        conn: Some(conn),
        ..Select::default()
    };
    Ok(Call::Conns(Box::new(Conns {
        select,
        deed: Deed::Explain(room),
        cursor: Cursor::default(),
        limit: 1,
    })))
}

pub(super) fn document(_: &Given<'_>, _: &Request<'_>, _: &Site) -> Result<Call, Problem> {
    Ok(Call::Document)
}
