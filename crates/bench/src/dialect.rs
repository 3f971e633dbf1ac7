//! How a server is spoken to, as data: Taut's own doors and foreign servers alike are a carrier, some words to be let in, and how a
//! message is published and arrives.

use memchr::memmem;

use crate::failure::Failure;
use crate::payload::Form;

/// A kind of server, or a door of Taut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Door {
    /// A WebSocket on the room's own URL: payloads and nothing else
    Ws,
    /// Socket.IO over WebSocket: a namespace is a room
    Socketio,
    /// The native protocol, JSON lines over TCP
    Tcp,
    /// Server-sent events; messages are published by POST
    Sse,
}

impl Door {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Socketio => "socketio",
            Self::Tcp => "tcp",
            Self::Sse => "sse",
        }
    }
}

/// How bytes become units, from the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A unit is a WebSocket message.
    WebSocket,
    /// A unit is a line.
    Lines,
    /// A unit is an event of an event stream.
    Events,
    /// Nothing comes but answers to requests; what is said is a request's body.
    Posts,
}

/// A step on the way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// Send this unit.
    Say(Vec<u8>),
    /// Go on when a unit holds this.
    Await(Vec<u8>),
}

/// What a user says about a foreign server; a part that is not given is the door's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    pub(crate) path: Option<String>,
    /// Sent once connected, one after the other.
    pub(crate) greeting: Vec<String>,
    /// A unit that holds this is waited for behind the greeting.
    pub(crate) welcome: Option<String>,
    pub(crate) publish: Option<String>,
    pub(crate) expect: Option<String>,
    /// The Socket.IO event.
    pub(crate) event: Option<String>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Dialect {
    pub(crate) carrier: Carrier,
    /// The request target, where the carrier has one.
    pub(crate) path: String,
    pub(crate) words: Vec<Word>,
    /// What stands before and behind a payload on its way to the server.
    pub(crate) publish: (Vec<u8>, Vec<u8>),
    /// And on its way from there.
    expect: (Glob, Glob),
    /// A unit that asks whether we live, and the answer.
    pub(crate) heartbeat: Option<(&'static [u8], &'static [u8])>,
    /// A unit that begins so is a refusal.
    refusals: Vec<Vec<u8>>,
}

impl Dialect {
    /// How a member of `room` speaks at this door.
    pub(crate) fn member(door: Door, room: &str, template: &Template) -> Result<Self, Failure> {
        let event = template.event.as_deref().unwrap_or("chat");
        let mut dialect = match door {
            Door::Ws => Self::plain(Carrier::WebSocket, format!("/r/{room}")),
            Door::Socketio => Self::socketio(room, event)?,
            Door::Tcp => Self::native(room)?,
            Door::Sse => Self {
                expect: globs("{payload}")?,
                ..Self::plain(Carrier::Events, format!("/r/{room}"))
            },
        };
        let fill = |text: &str| text.replace("{room}", room).replace("{event}", event);
        if let Some(path) = &template.path {
            dialect.path = fill(path);
        }
        for unit in &template.greeting {
            dialect.words.push(Word::Say(fill(unit).into_bytes()));
        }
        if let Some(unit) = &template.welcome {
            dialect.words.push(Word::Await(fill(unit).into_bytes()));
        }
        if let Some(publish) = &template.publish {
            dialect.publish = around(&fill(publish))?;
            // What another server makes of it is not known, unless it is said.
            dialect.expect = globs("{any}{payload}{any}")?;
        }
        if let Some(expect) = &template.expect {
            dialect.expect = globs(&fill(expect))?;
        }
        Ok(dialect)
    }

    /// How somebody speaks who only publishes.
    pub(crate) fn publisher(door: Door, room: &str, template: &Template) -> Result<Self, Failure> {
        let member = Self::member(door, room, template)?;
        match door {
            Door::Sse => Ok(Self {
                carrier: Carrier::Posts,
                ..member
            }),
            _ => Ok(member),
        }
    }

    /// Who talks to the bare program, which tells its publisher by the path.
    pub(crate) fn floor(path: &str) -> Self {
        Self::plain(Carrier::WebSocket, path.to_owned())
    }

    fn plain(carrier: Carrier, path: String) -> Self {
        Self {
            carrier,
            path,
            words: Vec::new(),
            publish: (Vec::new(), Vec::new()),
            expect: (Glob::default(), Glob::default()),
            heartbeat: None,
            refusals: Vec::new(),
        }
    }

    /// Engine.IO v4 by WebSocket from the start, and a namespace of Socket.IO v5; `/` is the main one.
    fn socketio(room: &str, event: &str) -> Result<Self, Failure> {
        let namespace = match room {
            "/" => String::new(),
            name => format!("/{name},"),
        };
        let path = "/socket.io/?EIO=4&transport=websocket".to_owned();
        Ok(Self {
            words: vec![
                Word::Await(b"0{".to_vec()),
                Word::Say(format!("40{namespace}").into_bytes()),
                Word::Await(format!("40{namespace}{{").into_bytes()),
            ],
            publish: around(&format!("42{namespace}[\"{event}\",\"{{payload}}\"]"))?,
            // Behind it stands the position, where a server has one.
            expect: globs(&format!(
                "42{namespace}[\"{event}\",\"{{payload}}\"{{any}}]"
            ))?,
            heartbeat: Some((b"2", b"3")),
            refusals: vec![b"44".to_vec(), b"41".to_vec()],
            ..Self::plain(Carrier::WebSocket, path)
        })
    }

    fn native(room: &str) -> Result<Self, Failure> {
        Ok(Self {
            words: vec![
                Word::Say(format!("{{\"join\":\"{room}\"}}").into_bytes()),
                Word::Await(b"\"ok\":\"join\"".to_vec()),
            ],
            publish: around(&format!(
                "{{\"publish\":\"{room}\",\"data\":\"{{payload}}\"}}"
            ))?,
            expect: globs(&format!(
                "{{any}}\"room\":\"{room}\"{{any}}\"data\":\"{{payload}}\"{{any}}"
            ))?,
            refusals: vec![b"{\"error\"".to_vec(), b"{\"bye\"".to_vec()],
            ..Self::plain(Carrier::Lines, String::new())
        })
    }

    /// Whether a unit is a refusal.
    pub(crate) fn refuses(&self, unit: &[u8]) -> bool {
        let mut refusals = self.refusals.iter();
        refusals.any(|start| unit.starts_with(start))
    }

    /// Whether `unit` is what the word numbered `next` waits for.
    pub(crate) fn awaits(&self, next: usize, unit: &[u8]) -> bool {
        matches!(self.words.get(next), Some(Word::Await(part)) if memmem::find(unit, part).is_some())
    }

    /// Whether what stands around the payload at `at` is as it must be.
    pub(crate) fn expects(&self, unit: &[u8], at: usize, form: &Form) -> bool {
        let (before, behind) = unit.split_at(at);
        self.expect.0.matches(before) && self.expect.1.matches(&behind[form.bytes()..])
    }
}

/// What a template has before and behind its `{payload}`.
fn around(template: &str) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    match template.split_once("{payload}") {
        Some((before, behind)) => Ok((before.into(), behind.into())),
        None => Err(Failure::usage(format!(
            "the template {template:?} has no {{payload}}"
        ))),
    }
}

fn globs(template: &str) -> Result<(Glob, Glob), Failure> {
    let (before, behind) = around(template)?;
    Ok((Glob::new(&before), Glob::new(&behind)))
}

/// A text in which `{any}` stands for anything.
#[derive(Debug, Clone, Default)]
struct Glob {
    first: Vec<u8>,
    /// What follows each `{any}`.
    rest: Vec<Vec<u8>>,
}

impl Glob {
    fn new(mut text: &[u8]) -> Self {
        const ANY: &[u8] = b"{any}";
        let mut parts = Vec::new();
        while let Some(at) = memmem::find(text, ANY) {
            parts.push(text[..at].to_vec());
            text = &text[at + ANY.len()..];
        }
        parts.push(text.to_vec());
        let first = parts.remove(0);
        Self { first, rest: parts }
    }

    fn matches(&self, text: &[u8]) -> bool {
        let Some(mut text) = text.strip_prefix(self.first.as_slice()) else {
            return false;
        };
        let Some((last, middle)) = self.rest.split_last() else {
            return text.is_empty();
        };
        for part in middle {
            match memmem::find(text, part) {
                Some(at) => text = &text[at + part.len()..],
                None => return false,
            }
        }
        text.ends_with(last)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::payload::Label;

    fn unit(form: &Form, before: &str, behind: &str) -> (Vec<u8>, usize) {
        let mut unit = before.as_bytes().to_vec();
        let label = Label {
            source: 0,
            number: 1,
        };
        form.encode(&mut unit, label);
        unit.extend_from_slice(behind.as_bytes());
        (unit, before.len())
    }

    #[test]
    fn a_unit_is_as_the_template_says_or_it_is_not() {
        let form = Form::new(1, 64).unwrap();
        let expects = |dialect: &Dialect, before: &str, behind: &str| {
            let (unit, at) = unit(&form, before, behind);
            dialect.expects(&unit, at, &form)
        };
        let template = Template::default();
        let socketio = Dialect::member(Door::Socketio, "den", &template).unwrap();
        assert!(expects(&socketio, "42/den,[\"chat\",\"", "\"]"));
        assert!(expects(
            &socketio,
            "42/den,[\"chat\",\"",
            "\",\"k3f9a2-17\"]"
        ));
        assert!(!expects(&socketio, "42/den,[\"other\",\"", "\"]"));
        assert!(!expects(&socketio, "42/den,[\"chat\",\"", "\""));
        let main = Dialect::member(Door::Socketio, "/", &template).unwrap();
        assert!(expects(&main, "42[\"chat\",\"", "\"]"));
        let foreign = Template {
            publish: Some("{\"say\":\"{payload}\",\"to\":\"{room}\"}".into()),
            expect: Some("{any}\"said\":\"{payload}\"}".into()),
            ..Template::default()
        };
        let foreign = Dialect::member(Door::Ws, "den", &foreign).unwrap();
        assert_eq!(foreign.publish.0, b"{\"say\":\"");
        assert_eq!(foreign.publish.1, b"\",\"to\":\"den\"}");
        assert!(expects(&foreign, "{\"n\":1,\"said\":\"", "\"}"));
        assert!(!expects(&foreign, "{\"n\":1,\"said\":\"", "\"} "));
    }

    #[test]
    fn a_template_without_a_payload_is_refused() {
        let template = Template {
            publish: Some("hello".into()),
            ..Template::default()
        };
        let failure = Dialect::member(Door::Ws, "den", &template).unwrap_err();
        assert!(failure.text.contains("{payload}"), "{failure}");
    }
}
