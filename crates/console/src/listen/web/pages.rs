//! What each mode answers.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Reply, Responder};
use super::{cgi, events, text, transfer};
use crate::listen::clients::Client;
use crate::listen::house::House;
use crate::listen::plan::Mode;
use crate::listen::report::{bytes, counted};
use crate::listen::stream::said;

/// Answers one request as the mode wants.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    house: &House,
    client: &Client,
    responder: &mut Responder<'_, S>,
) -> io::Result<()> {
    let asked = responder.asked;
    let hears_all = matches!(house.plan.mode, Mode::Converse | Mode::Chat);
    if hears_all && asked.wants_events {
        return events::stream(client, responder).await;
    }
    if let Some(greeting) = &house.plan.greeting
        && (asked.is_get() || house.plan.mode == Mode::Greet)
    {
        return responder.send(&page(asked.is_get(), greeting)).await;
    }
    match &house.plan.mode {
        Mode::Exec { command } => cgi::run(house, client, responder, command).await,
        Mode::Files { .. } => match &house.files {
            Some(files) => transfer::send(house, client, responder, files).await,
            None => responder.send(&text(500, "no folder is open\n")).await,
        },
        Mode::Echo { prefix } => {
            let kind = asked
                .field("content-type")
                .unwrap_or("application/octet-stream");
            let body = [prefix, asked.body.as_slice()].concat();
            responder.send(&Reply::new(200, kind, body)).await
        }
        Mode::Chat if !asked.body.is_empty() => {
            let said = said(&client.name(), &asked.body);
            let told = house.clients.say(Some(client.number), &said).await;
            responder
                .send(&text(200, format!("{told} heard it\n")))
                .await
        }
        _ => {
            responder
                .send(&text(200, what_came(client, responder)))
                .await
        }
    }
}

/// The page of a greeting server.
fn page(is_get: bool, greeting: &str) -> Reply {
    if !is_get {
        return text(405, "there is a page here to GET, and no more\n").with("Allow", "GET, HEAD");
    }
    let kind = if greeting.trim_start().starts_with('<') {
        "text/html; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    Reply::new(200, kind, greeting)
}

/// What a request said, for whoever sent it.
fn what_came<S>(client: &Client, responder: &Responder<'_, S>) -> String {
    let asked = responder.asked;
    let mut text = format!(
        "{}\nfrom {}, {}",
        asked.line(),
        client.peer,
        counted(asked.fields.len(), "header field")
    );
    if !asked.body.is_empty() {
        let kind = asked.field("content-type").unwrap_or("of no type");
        text.push_str(&format!(", a body of {} ({kind})", bytes(asked.body.len())));
    }
    text.push('\n');
    text
}
