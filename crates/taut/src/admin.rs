//! `taut admin`: the server API from the command line. Each word is one request; what comes back is a table for people, or JSON.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use clap::{ArgMatches, FromArgMatches as _};
use serde_json::{Map, Value};
use taut_dial::{DialError, Scheme, Settings, Tls, Url};
use taut_wire::http::{self, BodyDecoder, Limits, Method, target::percent_encode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::admin_args::{AdminArgs, Asked, ask};
use crate::connection;
use crate::failure::{Code, Failure};
use crate::printing::shown;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The time an answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// The columns that stand first, in this order.
const LEADING: [&str; 11] = [
    "conn", "room", "name", "at", "key", "time", "from", "user", "door", "event", "data",
];

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((word, matches)) = matches.subcommand() else {
        return Err(Failure::usage(
            "say what to do; `taut admin --help` has examples",
        ));
    };
    let args = AdminArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    let key = key(&args)?;
    let mut asked = ask(word, matches)?;
    connection::run(async move {
        loop {
            let answer = exchange(&args, &key, &asked).await?;
            let next = print(&args, &answer)?;
            match next {
                Some(cursor) if asked.all => asked.set("cursor", &cursor),
                Some(cursor) if !args.json => {
                    writeln!(std::io::stderr(), "more: --cursor {cursor}, or --all")?;
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    })
}

/// The key: from a file, where one is named, else from the environment. Not as an argument, which everybody on the machine could read.
fn key(args: &AdminArgs) -> Result<String, Failure> {
    let key = match &args.key_file {
        Some(path) => {
            let cannot = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
            let mut text = String::new();
            let file = std::fs::File::open(path).map_err(cannot)?;
            file.take(4_096).read_to_string(&mut text).map_err(cannot)?;
            text
        }
        None => std::env::var("TAUT_API_KEY").unwrap_or_default(),
    };
    let key = key.trim().to_owned();
    if key.is_empty() || key.chars().any(|c| c.is_control() || c == ' ') {
        return Err(Failure::usage("there is no key to show").hint(
            "set TAUT_API_KEY, or name a file with --key-file; `taut token key` makes a key, whose hash belongs into auth.api_keys",
        ));
    }
    Ok(key)
}

/// Asks and reads the whole answer.
async fn exchange(args: &AdminArgs, key: &str, asked: &Asked) -> Result<Vec<u8>, Failure> {
    let mut url: Url = args.server.url.parse().map_err(Failure::usage)?;
    if !url.scheme.is_http() && url.scheme != Scheme::Unix {
        return Err(Failure::usage(
            "the server API is at an http:// or https:// URL, or at a Unix socket, unix:/path",
        ));
    }
    let pairs: Vec<String> = asked
        .query
        .iter()
        .map(|(name, value)| format!("{name}={}", percent_encode(value)))
        .collect();
    let query = if pairs.is_empty() { "" } else { "?" };
    url.target = format!("{}{query}{}", asked.path, pairs.join("&"));
    let request = encode(&url, key, asked);
    let work = async {
        let opened = taut_dial::open(&url, &settings(args)?, &taut_dial::Untold)
            .await
            .map_err(unreachable)?;
        let mut stream = opened.stream;
        stream.write_all(&request).await?;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        loop {
            if let Some((status, body)) = whole(&bytes, asked.method)? {
                return verdict(status, body);
            }
            let count = stream.read(&mut chunk).await?;
            if count == 0 {
                return Err(Failure::new(
                    Code::CutShort,
                    "the server closed the connection before it had answered",
                ));
            }
            bytes.extend_from_slice(&chunk[..count]);
        }
    };
    tokio::time::timeout(ANSWER, work)
        .await
        .map_err(|_| Failure::new(Code::Silent, "the server did not answer in time"))?
}

/// In the words that the other commands have for it.
fn unreachable(error: DialError) -> Failure {
    let code = match &error {
        DialError::Tls { .. } => Code::Untrusted,
        _ => Code::Unreachable,
    };
    Failure::new(code, error)
        .hint("name the server with --url or TAUT_URL, for example --url http://localhost:8080")
}

fn encode(url: &Url, key: &str, asked: &Asked) -> Vec<u8> {
    let mut out = Vec::new();
    let authorization = format!("Bearer {key}");
    let length = asked.body.as_ref().map_or(0, Vec::len).to_string();
    let mut fields = vec![
        ("Authorization", authorization.as_str()),
        ("Connection", "close"),
    ];
    if let Some(token) = &asked.token {
        fields.push(("Taut-Token", token));
    }
    if asked.body.is_some() {
        fields.push(("Content-Type", asked.content_type));
    }
    if asked.method != "GET" {
        fields.push(("Content-Length", &length));
    }
    let method = Method::from_name(asked.method);
    let host = match url.scheme {
        Scheme::Unix => "localhost".to_owned(),
        _ => url.host_field(),
    };
    http::encode_request(&mut out, &method, &url.target, &host, &fields);
    out.extend_from_slice(asked.body.as_deref().unwrap_or_default());
    out
}

/// The answer, once it is whole.
fn whole(bytes: &[u8], method: &str) -> Result<Option<(u16, Vec<u8>)>, Failure> {
    let broke = |error: http::Violation| Failure::new(Code::Violation, error.violation);
    let limits = Limits::default();
    let parsed = http::parse_response(bytes, &limits, &Method::from_name(method)).map_err(broke)?;
    let Some((response, head)) = parsed else {
        return Ok(None);
    };
    let mut decoder = BodyDecoder::new(response.framing, ANSWER_BYTES_MAX as u64).map_err(broke)?;
    let (mut at, mut body) = (head, Vec::new());
    while !decoder.is_done() {
        let step = decoder
            .decode(bytes.get(at..).unwrap_or_default())
            .map_err(broke)?;
        body.extend_from_slice(step.data);
        if step.consumed == 0 && !step.done {
            return Ok(None);
        }
        at += step.consumed;
    }
    Ok(Some((response.status, body)))
}

fn verdict(status: u16, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if status < 400 {
        return Ok(body);
    }
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or("the server refused");
    Err(Failure::new(Code::Refused, shown(detail)))
}

fn settings(args: &AdminArgs) -> Result<Settings, Failure> {
    let server = &args.server;
    let key = server.cert_key.as_ref().or(server.cert.as_ref());
    let proxy = server.proxy.as_ref().map(|proxy| proxy.parse());
    Ok(Settings {
        tls: Tls {
            authorities: server.ca.clone(),
            identity: server.cert.clone().zip(key.cloned()),
            insecure: server.insecure,
            server_name: server.server_name.clone(),
            ..Tls::default()
        },
        proxy: proxy.transpose().map_err(Failure::usage)?,
        ..Settings::default()
    })
}

/// Prints an answer; says the cursor of the next page.
fn print(args: &AdminArgs, body: &[u8]) -> Result<Option<String>, Failure> {
    let wrong = |error| Failure::new(Code::Violation, format!("the answer is no JSON: {error}"));
    let value: Value = serde_json::from_slice(body).map_err(wrong)?;
    let mut out = Vec::new();
    if args.json {
        out.extend_from_slice(body.trim_ascii_end());
        out.push(b'\n');
    } else {
        table(&mut out, &value);
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&out)?;
    stdout.flush()?;
    Ok(value["cursor"].as_str().map(str::to_owned))
}

/// The list that an answer is about as rows, anything else as `name  value`.
fn table(out: &mut Vec<u8>, value: &Value) {
    if let (Some(changed), Some(waiting)) =
        (value["changed"].as_array(), value["waiting"].as_array())
    {
        return reloaded(out, changed, waiting);
    }
    let lists = ["rooms", "conns", "messages", "members", "state"];
    let list = lists.iter().find_map(|name| value[*name].as_array());
    if let Some(list) = list {
        // Nobody is no line.
        if list.is_empty() {
            return;
        }
        let rows = list.iter().filter_map(Value::as_object);
        let names = headings(rows.clone(), value["room"].is_null());
        let mut lines = vec![
            names
                .iter()
                .map(|name| name.to_uppercase())
                .collect::<Vec<_>>(),
        ];
        lines.extend(rows.map(|row| {
            names
                .iter()
                .map(|name| row.get(*name).map_or_else(|| "-".to_owned(), cell))
                .collect()
        }));
        return columns(out, &lines);
    }
    let nested = ["policy", "rights"]
        .iter()
        .find_map(|name| value[*name].as_object());
    let Some(fields) = nested.or(value.as_object()) else {
        return columns(out, &[vec![cell(value)]]);
    };
    let lines: Vec<Vec<String>> = fields
        .iter()
        .map(|(name, value)| vec![shown(name), cell(value)])
        .collect();
    columns(out, &lines);
}

/// What came of a reload, a line each.
fn reloaded(out: &mut Vec<u8>, changed: &[Value], waiting: &[Value]) {
    let lines = |what: &str, list: &[Value]| -> Vec<Vec<String>> {
        list.iter()
            .map(|text| vec![what.to_owned(), cell(text)])
            .collect()
    };
    let mut all = lines("reloaded", changed);
    all.extend(lines("needs a restart", waiting));
    if all.is_empty() {
        all.push(vec!["nothing is different".to_owned()]);
    }
    columns(out, &all);
}

/// Every name that a row has, those first by which one tells rows apart. Not every row has all.
fn headings<'a>(
    rows: impl Iterator<Item = &'a Map<String, Value>>,
    with_room: bool,
) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in rows.flat_map(Map::keys) {
        if !names.contains(&name.as_str()) && (with_room || name != "room") {
            names.push(name);
        }
    }
    let place = |name: &str| LEADING.iter().position(|one| *one == name);
    names.sort_by_key(|name| place(name).unwrap_or(LEADING.len()));
    names
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => shown(text),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(fields) if fields.contains_key("allowed") => {
            let allowed = if fields["allowed"] == true {
                "yes"
            } else {
                "no"
            };
            let because = fields.get("because").and_then(Value::as_str);
            let because = because.map_or_else(|| "nothing allows it".to_owned(), shown);
            format!("{allowed}, {because}")
        }
        other => shown(&other.to_string()),
    }
}

/// Rows with their columns below each other. The last one is as long as it is.
fn columns(out: &mut Vec<u8>, lines: &[Vec<String>]) {
    let mut widths = Vec::new();
    for line in lines {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for line in lines {
        let mut text = String::new();
        for (width, cell) in widths.iter().zip(line) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        out.extend_from_slice(text.trim_end().as_bytes());
        out.push(b'\n');
    }
}
