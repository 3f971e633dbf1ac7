use super::packet::{Content, Packet};
use crate::native::{number, quote};

/// One value to be written into an event or ack, or several of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument<'a> {
    /// JSON as it is: one value, or several with commas between them and no brackets around them; nothing where it is empty.
    Json(&'a [u8]),
    /// UTF-8, which becomes a JSON string.
    Text(&'a [u8]),
    /// The placeholder of the attachment with this number, from 0.
    Attachment(u32),
}

/// Appends a packet's text. Its attachments follow as binary packets.
///
/// A namespace must not hold a comma, which ends it on the wire. This holds for every encoder here.
pub fn encode(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let (namespace, id) = (packet.namespace, packet.id);
    match &packet.content {
        Content::Connect(data) => plain(out, b'0', namespace, id, data),
        Content::Disconnect => plain(out, b'1', namespace, id, ""),
        Content::ConnectError(data) => plain(out, b'4', namespace, id, data),
        Content::Event(event) => {
            head(out, b'2', packet.attachments, namespace, id);
            let arguments = Argument::Json(event.arguments.json.as_bytes());
            array(out, Some(&event.name), &[arguments]);
        }
        Content::Ack(list) => {
            head(out, b'3', packet.attachments, namespace, id);
            array(out, None, &[Argument::Json(list.json.as_bytes())]);
        }
    }
}

/// A packet that never has attachments.
fn plain(out: &mut Vec<u8>, kind: u8, namespace: &str, id: Option<u64>, data: &str) {
    head(out, kind, 0, namespace, id);
    out.extend_from_slice(data.as_bytes());
}

/// Appends an event without an ack: `2/ns,["name",…]`, or `5N-/ns,["name",…]` where there are attachments.
///
/// This is what a broadcast needs: nothing is allocated but the room in `out`.
pub fn encode_event(
    out: &mut Vec<u8>,
    namespace: &str,
    attachments: u32,
    name: &str,
    arguments: &[Argument<'_>],
) {
    head(out, b'2', attachments, namespace, None);
    array(out, Some(name), arguments);
}

/// Appends the ack of the event `id`: `3/ns,ID[…]`, or `6N-/ns,ID[…]`.
pub fn encode_ack(
    out: &mut Vec<u8>,
    namespace: &str,
    attachments: u32,
    id: u64,
    arguments: &[Argument<'_>],
) {
    head(out, b'3', attachments, namespace, Some(id));
    array(out, None, arguments);
}

/// Appends what a server says to a CONNECT: `0/ns,{"sid":"…","pid":"…"}`. The pid is the private id for recovery.
pub fn encode_connected(out: &mut Vec<u8>, namespace: &str, sid: &str, pid: Option<&str>) {
    head(out, b'0', 0, namespace, None);
    out.extend_from_slice(b"{\"sid\":");
    quote(out, sid.as_bytes());
    if let Some(pid) = pid {
        out.extend_from_slice(b",\"pid\":");
        quote(out, pid.as_bytes());
    }
    out.push(b'}');
}

/// Appends a refusal: `4/ns,{"message":"…"}`, or with `data`, which is JSON, `4/ns,{"message":"…","data":…}`.
pub fn encode_connect_error(
    out: &mut Vec<u8>,
    namespace: &str,
    message: &str,
    data: Option<&[u8]>,
) {
    head(out, b'4', 0, namespace, None);
    out.extend_from_slice(b"{\"message\":");
    quote(out, message.as_bytes());
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.push(b'}');
}

/// Appends a DISCONNECT: `1` or `1/ns,`.
pub fn encode_disconnect(out: &mut Vec<u8>, namespace: &str) {
    head(out, b'1', 0, namespace, None);
}

/// Appends everything ahead of the data. An event or ack with attachments is a binary one: its digit is 3 higher.
fn head(out: &mut Vec<u8>, kind: u8, attachments: u32, namespace: &str, id: Option<u64>) {
    if attachments == 0 {
        out.push(kind);
    } else {
        out.push(kind + 3);
        number(out, u64::from(attachments));
        out.push(b'-');
    }
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    if let Some(id) = id {
        number(out, id);
    }
}

fn array(out: &mut Vec<u8>, name: Option<&str>, arguments: &[Argument<'_>]) {
    out.push(b'[');
    let mut is_first = true;
    if let Some(name) = name {
        quote(out, name.as_bytes());
        is_first = false;
    }
    for argument in arguments {
        if matches!(argument, Argument::Json([])) {
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        match argument {
            Argument::Json(json) => out.extend_from_slice(json),
            Argument::Text(text) => quote(out, text),
            Argument::Attachment(num) => {
                out.extend_from_slice(b"{\"_placeholder\":true,\"num\":");
                number(out, u64::from(*num));
                out.push(b'}');
            }
        }
    }
    out.push(b']');
}
