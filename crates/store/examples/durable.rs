//! Durable publishes per second through the server, at each level and by 1, 10 and 100 publishers, beside plain SQLite group commit.
//!
//! `cargo build --release && cargo run --release -p taut-store --example durable -- [SECONDS [DIR]]`. Each publisher sends one line, waits for its acknowledgement,
//! and sends the next. The floor is SQLite alone in one thread with one transaction for as many messages as there are publishers: what a perfect group
//! commit would do, without sockets. Server and floor run in turn; a line of JSON each.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

const BODY: [u8; 100] = [b'x'; 100];
const PUBLISHERS: [usize; 3] = [1, 10, 100];
const LEVELS: [&str; 3] = ["memory", "crash", "power"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let seconds: f64 = args.next().map_or(Ok(2.0), |text| text.parse())?;
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("taut-durable-{}", std::process::id()));
    let time = Duration::from_secs_f64(seconds);
    let result = measure(&dir, time);
    std::fs::remove_dir_all(&dir)?;
    result
}

fn measure(dir: &Path, time: Duration) -> Result<(), Box<dyn Error>> {
    for publishers in PUBLISHERS {
        for level in LEVELS {
            let place = dir.join(format!("{level}-{publishers}"));
            std::fs::create_dir_all(&place)?;
            let taut = server(&place, level, publishers, time)?;
            let floor = match level {
                "memory" => None,
                _ => Some(sqlite(&place, level == "power", publishers, time)?),
            };
            let line = serde_json::json!({
                "level": level,
                "publishers": publishers,
                "taut_per_s": taut.round(),
                "sqlite_per_s": floor.map(f64::round),
                "ratio": floor.map(|floor| (taut / floor * 100.0).round() / 100.0),
            });
            println!("{line}");
        }
    }
    Ok(())
}

/// Publishes acknowledged per second.
fn server(
    dir: &Path,
    level: &str,
    publishers: usize,
    time: Duration,
) -> Result<f64, Box<dyn Error>> {
    let config = dir.join("taut.toml");
    let rule = format!(
        "[[rooms]]\nmatch = \"**\"\ndurability = \"{level}\"\nhistory = {{ messages_max = 1_000_000, bytes_max = \"1GiB\" }}\n"
    );
    std::fs::write(&config, rule)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let taut = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .ok_or("where is this program?")?
        .join("taut");
    let child = Command::new(taut)
        .arg("serve")
        .arg(format!("--listen=127.0.0.1:{port}"))
        .arg(format!("--data={}", dir.join("data").display()))
        .arg(format!("--config={}", config.display()))
        .arg("--log-level=warn")
        .stdout(Stdio::null())
        .spawn()?;
    let _child = Running(child);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        thread::sleep(Duration::from_millis(20));
    }
    let begun = Instant::now();
    let threads: Vec<_> = (0..publishers)
        .map(|number| thread::spawn(move || publish(port, number, begun + time)))
        .collect();
    let mut count = 0;
    for thread in threads {
        count += thread.join().map_err(|_| "a publisher panicked")??;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

fn publish(port: u16, number: usize, until: Instant) -> Result<u32, std::io::Error> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let body = String::from_utf8_lossy(&BODY);
    let unit = format!(
        "{{\"publish\":\"bench/{}\",\"data\":\"{body}\"}}\n",
        number % 10
    );
    let mut line = String::new();
    let mut count = 0;
    while Instant::now() < until {
        writer.write_all(unit.as_bytes())?;
        line.clear();
        reader.read_line(&mut line)?;
        count += u32::from(line.starts_with("{\"ok\""));
    }
    Ok(count)
}

/// Messages committed per second by SQLite alone.
fn sqlite(dir: &Path, sync: bool, batch: usize, time: Duration) -> Result<f64, Box<dyn Error>> {
    let conn = Connection::open(dir.join("plain.sqlite"))?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE messages (room INTEGER, offset INTEGER, body BLOB, PRIMARY KEY (room, offset)) WITHOUT ROWID;",
    )?;
    conn.execute_batch(if sync {
        "PRAGMA synchronous = FULL"
    } else {
        "PRAGMA synchronous = NORMAL"
    })?;
    let begun = Instant::now();
    let mut offset = 0_i64;
    while begun.elapsed() < time {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        let mut insert = conn.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3)")?;
        for _ in 0..batch {
            offset += 1;
            insert.execute((offset % 10, offset, &BODY[..]))?;
        }
        conn.execute_batch("COMMIT")?;
    }
    Ok(f64::from(u32::try_from(offset)?) / begun.elapsed().as_secs_f64())
}

/// Ended with the measurement, whatever comes of it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
