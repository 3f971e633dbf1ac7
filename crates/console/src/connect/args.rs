//! What `taut connect` can be told, and its help.

use std::path::PathBuf;

use clap::ArgAction;

/// What `taut connect` can be told.
#[derive(Debug, Clone, clap::Args)]
#[allow(clippy::struct_excessive_bools)]
pub struct ConnectArgs {
    /// Where to connect: tcp:// udp:// unix: tls:// ws:// wss:// http:// https://
    #[arg(value_name = "URL")]
    pub url: String,
    /// Tell the story of the socket on stderr; -vv with every byte
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// After the end of stdin wait so many seconds for the peer, or `forever` [default: streams forever, ws and udp until nothing has come for 1 s]
    #[arg(long, value_name = "SECONDS", value_parser = patience)]
    pub wait: Option<Patience>,
    /// End after so many messages: lines of a stream, WebSocket messages, datagrams, server-sent events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Seconds to connect, and to answer a handshake or a request
    #[arg(long = "timeout", visible_alias = "connect-timeout", value_name = "SECONDS", value_parser = seconds)]
    pub timeout_ms: Option<u64>,
    /// Come back when the connection fails or ends, after a pause that grows and varies
    #[arg(long)]
    pub reconnect: bool,
    /// Bytes of the longest WebSocket message or head that is taken
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    pub max_bytes: usize,

    /// Show what comes, and take what is typed, as hexadecimal digits
    #[arg(long, conflicts_with_all = ["base64", "binary"])]
    pub hex: bool,
    /// The same as base64
    #[arg(long, conflicts_with = "binary")]
    pub base64: bool,
    /// Send WebSocket messages as binary ones; write what comes as it is, even on a terminal
    #[arg(long)]
    pub binary: bool,
    /// An object a line on stdout for everything that happens
    #[arg(long)]
    pub json: bool,
    /// Send all of stdin as one WebSocket message or datagram, not one for each line
    #[arg(long)]
    pub whole: bool,

    /// A header field of the request, as `Name: value`; again for more
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = field)]
    pub headers: Vec<(String, String)>,
    /// Show this token: `Authorization: Bearer TOKEN`, where the URL is one of http or ws
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<String>,
    /// The same from a file
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The Origin of a WebSocket
    #[arg(long, value_name = "ORIGIN")]
    pub origin: Option<String>,
    /// A subprotocol to offer; again for more
    #[arg(long = "subprotocol", visible_alias = "protocol", value_name = "NAME")]
    pub subprotocols: Vec<String>,
    /// Offer permessage-deflate
    #[arg(long)]
    pub compress: bool,
    /// Ping a WebSocket every so many seconds
    #[arg(long = "ping", value_name = "SECONDS", value_parser = seconds)]
    pub ping_ms: Option<u64>,

    /// The method of a request [default: GET, or POST with -d]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub method: Option<String>,
    /// The body of a request; @FILE reads it from a file, @- from stdin
    #[arg(short, long, value_name = "DATA")]
    pub data: Option<String>,
    /// Ask for the head only (HEAD)
    #[arg(short = 'I', long, conflicts_with_all = ["method", "data"])]
    pub head: bool,
    /// Write only the body to stdout, without the status and the fields
    #[arg(short, long)]
    pub body: bool,
    /// Write the body to a file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Follow redirects, at most 10
    #[arg(short = 'L', long)]
    pub location: bool,

    /// Trust the authorities in this file (PEM) too; again for more
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// Show this certificate (PEM) when the peer asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Go on with a certificate that is not to be trusted
    #[arg(long)]
    pub insecure: bool,
    /// The name that the certificate must be for, instead of the host's
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Go through http://HOST:PORT (CONNECT), socks5://HOST:PORT or socks5h://HOST:PORT
    #[arg(long, value_name = "URL", env = "TAUT_PROXY", hide_env_values = true)]
    pub proxy: Option<String>,
    /// IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    pub ipv6: bool,
}

/// Text below `taut connect --help`.
pub const AFTER_HELP: &str = "\
Examples:
  taut connect tcp://localhost:8080         type to a TCP server, line by line
  echo hi | taut connect tcp://localhost:7  send, and print what comes back
  taut connect -v ws://localhost:8080/      watch the handshake and every frame
  taut connect ws://localhost:8080/r/lobby  stand in a room as a browser does
  taut connect --json --count 3 ws://localhost:8080/r/lobby
  echo ping | taut connect udp://localhost:9000
  taut connect unix:/run/taut.sock
  taut connect -v tls://example.org:443     see who vouches for a certificate
  taut connect http://localhost:8080/r/lobby
  taut connect -d hello http://localhost:8080/r/lobby
  taut connect -H 'Accept: text/event-stream' http://localhost:8080/r/lobby
  taut connect --token-file my.token wss://example.org/r/lobby

stdin goes to the peer, what comes goes to stdout. At a terminal lines can be
edited and what the peer sends cannot move the cursor; in a pipe every byte is
as it was. The end of stdin closes our half of a stream and the rest is
awaited; a WebSocket or UDP socket is closed once nothing has come for a
second (--wait changes both). A request reads stdin only for `-d @-`.

Exit codes: 0 fine; 3 nobody reached, lost, or told to come back later (close
codes 1012 and 1013); 4 refused (an HTTP status of 400 or more, a close code
other than those, 1000 and 1001); 5 another protocol, or a broken one; 6 no
answer in time; 7 TLS; 8 ended in the middle; 9 too much.";

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// So many milliseconds.
    Ms(u64),
    /// Until the peer ends it.
    Forever,
}

fn patience(text: &str) -> Result<Patience, String> {
    match text {
        "forever" => Ok(Patience::Forever),
        _ => seconds(text).map(Patience::Ms),
    }
}

/// Seconds with a fraction, as milliseconds.
fn seconds(text: &str) -> Result<u64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let ms = (seconds * 1_000.0) as u64;
            Ok(ms)
        }
        _ => Err("write seconds, for example 2 or 0.5".to_owned()),
    }
}

fn field(text: &str) -> Result<(String, String), String> {
    let wrong = || "write a field as `Name: value`".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) || text.contains(char::is_control) {
        return Err(wrong());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}
