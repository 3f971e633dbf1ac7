//! What `taut listen` can be told.

/// What `taut listen` can be told.
#[derive(Debug, Clone, clap::Args)]
pub struct ListenArgs {
    /// Where to listen: tcp:// udp:// unix: ws:// http://; tcp://:9000 is port 9000 of this machine alone, port 0 lets the system choose
    #[arg(value_name = "URL")]
    pub url: String,
    /// Send back what arrives
    #[arg(long, conflicts_with_all = ["chat", "exec", "files"])]
    pub echo: bool,
    /// What stands before each line that is sent back (each message, datagram or body)
    #[arg(long, value_name = "TEXT", requires = "echo")]
    pub prefix: Option<String>,
    /// Speak first, and close unless another mode goes on; over HTTP it is the page, over UDP the answer
    #[arg(long, value_name = "TEXT")]
    pub greet: Option<String>,
    /// Only print what arrives, as it is and at once
    #[arg(long)]
    pub print: bool,
    /// Let the clients talk to each other, as client-1, client-2, …
    #[arg(long, conflicts_with_all = ["exec", "files"])]
    pub chat: bool,
    /// Start CMD in a shell for each client: its stdin and stdout are the socket
    #[arg(long, value_name = "CMD", conflicts_with = "files")]
    pub exec: Option<String>,
    /// Serve the files of a folder (http)
    #[arg(long, value_name = "DIR", conflicts_with = "greet")]
    pub files: Option<std::path::PathBuf>,
    /// List folders that have no index page
    #[arg(long, requires = "files")]
    pub listing: bool,
    /// End after the first client
    #[arg(long)]
    pub once: bool,
    /// Tell what happens: who comes, what is said, who goes and why
    #[arg(short, long)]
    pub verbose: bool,
    /// Print what arrives in hexadecimal
    #[arg(long, conflicts_with_all = ["base64", "json"])]
    pub hex: bool,
    /// Print what arrives in base64
    #[arg(long, conflicts_with = "json")]
    pub base64: bool,
    /// Print an object for each thing that happens
    #[arg(long)]
    pub json: bool,
    /// Clients at once; more are turned away
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_clients: u32,
    /// The largest message (ws) or body (http) that is taken, such as 64KiB
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = size)]
    pub max_bytes: usize,
}

/// Text below `taut listen --help`.
pub const AFTER_HELP: &str = "\
The servers of the tutorials, a line each:
  taut listen tcp://:9000                      talk to whoever comes
  taut listen --echo tcp://:9000               an echo server
  taut listen --greet 'Hello!' tcp://:9000     a greeting server
  taut listen --print udp://:9000              a printing server
  taut listen --greet '<h1>Hi</h1>' http://localhost:8080
                                               a page on localhost:8080
  taut listen --echo ws://:9000                a WebSocket echo server
  taut listen --chat ws://:9000                a chat room
  taut listen --exec 'tr a-z A-Z' tcp://:9000  a program as a server
  taut listen --files . http://:8080           a web server

Also: --echo --prefix 'you said: ', unix:/tmp/x.sock, --once, -v, --json.

Without a mode it is a conversation: what arrives is printed as `[1] text`,
and each line that you type goes to all clients. Over HTTP, requests are
printed and answered with what they said, and your lines go to those who
GET with `Accept: text/event-stream`.

stdout carries data only. `listening on …`, who comes and goes, and what is
wrong are on stderr. On tcp: and unix: data counts with or without a newline;
--greet, --chat and typed lines end in one. A line that stands still for
50 ms without its newline counts as one. On ws: and udp: each is a message.
--echo sends bytes back as they come, and with --prefix line by line.

Only this machine can reach an address without a host. To be reached from
elsewhere, name one: tcp://0.0.0.0:9000. Nothing asks who they are.

Exits with 0 at Ctrl-D, at SIGTERM and after --once; with 130 at Ctrl-C.";

/// Reads `4096`, `64KiB`, `16MiB` or `1GiB`.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err("write bytes, or for example 64KiB or 16MiB".to_owned()),
    };
    digits
        .parse::<usize>()
        .ok()
        .and_then(|count| count.checked_mul(unit))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "write a number of bytes, for example 65536, 64KiB or 16MiB".to_owned())
}
