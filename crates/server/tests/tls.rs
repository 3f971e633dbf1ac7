//! TLS on the one port: every carrier within it, handshakes that are wrong, slow or many, and certificates that change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod peer;

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use peer::{CARRIERS, Peer, Running, post};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use taut_server::{
    CertificateSource, ClientCertificates, Config, Limits, SelfSigned, TlsConfig, TlsError,
};

/// How long a test waits for what must come: a bound on failure, not a measurement.
const PATIENCE: Duration = Duration::from_secs(20);

/// An authority for tests.
struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "tests");
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for these names; its chain and key.
    fn vouch(&self, names: &[&str]) -> (String, String) {
        self.vouch_as(names, |_| {})
    }

    fn vouch_as(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn source(&self, names: &[&str]) -> CertificateSource {
        let (chain, key) = self.vouch(names);
        CertificateSource::Pem { chain, key }
    }

    /// A client that trusts this authority only.
    fn client(&self) -> Arc<ClientConfig> {
        self.client_with(rustls::ALL_VERSIONS, None)
    }

    fn client_with(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        identity: Option<(String, String)>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
                    .collect::<Result<_, _>>()
                    .unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn open(server: &Running, client: &Arc<ClientConfig>, name: &str) -> Stream {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(connection, stream)
}

/// Says a line and hears the next.
fn ask(stream: &mut Stream, line: &str) -> std::io::Result<String> {
    stream.write_all(format!("{line}\n").as_bytes())?;
    hear(stream)
}

fn hear(stream: &mut Stream) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            break;
        }
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn with(certificates: Vec<CertificateSource>, cores: usize) -> Config {
    Config {
        cores,
        tls: TlsConfig {
            certificates,
            reload_ms: 20,
            ..TlsConfig::default()
        },
        ..Config::default()
    }
}

fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("tls-{}-{number}", std::process::id());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(folder: &Path, (chain, key): &(String, String)) -> CertificateSource {
    std::fs::write(folder.join("chain.pem"), chain).unwrap();
    std::fs::write(folder.join("key.pem"), key).unwrap();
    CertificateSource::Files {
        chain: folder.join("chain.pem"),
        key: folder.join("key.pem"),
    }
}

/// Tries until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_carrier_comes_in_by_tls_and_meets_those_in_clear_text() {
    let authority = Authority::new();
    for cores in [1, 3] {
        let mut server = Running::with(with(vec![authority.source(&["localhost"])], cores));
        let mut peers = Vec::new();
        for tls in [Some(authority.client()), None] {
            server.tls = tls;
            for carrier in CARRIERS {
                peers.push(Peer::join(&server, carrier, "den", ""));
            }
        }
        for speaker in 0..peers.len() {
            let text = format!("{speaker} from {:?}", peers[speaker].carrier);
            peers[speaker].say(&text);
            for (index, peer) in peers.iter_mut().enumerate() {
                if index != speaker || peer.hears_itself() {
                    assert_eq!(peer.hear(), text, "{:?} {index}", peer.carrier);
                }
            }
        }
        // Larger than a record, and than what a socket takes at once.
        let long = "x".repeat(40_000);
        for _ in 0..6 {
            post(server.address, "den", &long);
        }
        for peer in &mut peers {
            for _ in 0..6 {
                assert!(peer.hear() == long, "{:?}", peer.carrier);
            }
        }
        server.begin_to_stop();
        for peer in &mut peers {
            let _ = peer.rest();
        }
        server.stop();
    }
}

#[test]
fn both_versions_shake_hands_and_come_back_without_a_second_judgement() {
    let authority = Authority::new();
    let server = Running::with(with(vec![authority.source(&["localhost"])], 2));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = authority.client_with(&[version], None);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = open(&server, &client, "localhost");
            let answer = ask(&mut stream, r#"{"publish":"lobby","data":1}"#).unwrap();
            assert!(answer.contains(r#""ok":"publish""#), "{answer}");
            kinds.push(stream.conn.handshake_kind().unwrap());
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            let mut rest = Vec::new();
            // The server says close_notify too, or this would be an error.
            stream.read_to_end(&mut rest).unwrap();
        }
        assert_ne!(kinds[0], HandshakeKind::Resumed, "{version:?}");
        assert_eq!(kinds[1], HandshakeKind::Resumed, "{version:?}");
    }
}

#[test]
fn whoever_stops_talking_still_hears_and_whoever_is_cut_off_says_nothing_half() {
    let authority = Authority::new();
    let server = Running::with(with(vec![authority.source(&["localhost"])], 1));
    let client = authority.client();
    let mut listens = open(&server, &client, "localhost");
    assert!(
        ask(&mut listens, r#"{"join":"lobby"}"#)
            .unwrap()
            .contains("ok")
    );
    listens.conn.send_close_notify();
    listens.flush().unwrap();
    listens.sock.shutdown(Shutdown::Write).unwrap();

    // The end of a connection without close_notify ends no line: somebody on the way may have cut it.
    let mut cut = open(&server, &client, "localhost");
    assert!(
        ask(&mut cut, r#"{"who":"lobby"}"#)
            .unwrap()
            .contains("lobby")
    );
    cut.write_all(br#"{"publish":"lobby","data":"half"}"#)
        .unwrap();
    cut.flush().unwrap();
    cut.sock.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    let _ = cut.read_to_end(&mut rest);

    // With it, it does.
    let mut whole = open(&server, &client, "localhost");
    whole
        .write_all(br#"{"publish":"lobby","data":"whole"}"#)
        .unwrap();
    whole.conn.send_close_notify();
    whole.flush().unwrap();
    assert!(hear(&mut whole).unwrap().contains(r#""ok":"publish""#));
    assert!(hear(&mut listens).unwrap().contains("whole"));
}

#[test]
fn what_comes_right_behind_the_handshake_is_heard_however_long() {
    let authority = Authority::new();
    let server = Running::with(with(vec![authority.source(&["localhost"])], 2));
    let client = authority.client();
    for count in [1, 40, 4_000] {
        let mut stream = open(&server, &client, "localhost");
        let unit = r#"{"publish":"lobby","data":"right behind"}"#;
        // The first write takes the handshake along, and close_notify and FIN follow at once.
        stream
            .write_all(format!("{unit}\n").repeat(count).as_bytes())
            .unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
        for number in 0..count {
            let answer = hear(&mut stream).unwrap();
            assert!(
                answer.contains(r#""ok":"publish""#),
                "{number} of {count}: {answer}"
            );
        }
        assert_eq!(
            hear(&mut stream).unwrap(),
            "",
            "nothing else, and close_notify"
        );
    }
}

#[test]
fn a_reader_that_rests_gets_everything_in_order() {
    let authority = Authority::new();
    let server = Running::with(with(vec![authority.source(&["localhost"])], 2));
    let client = authority.client();
    let mut rests = open(&server, &client, "localhost");
    assert!(
        ask(&mut rests, r#"{"join":"lobby"}"#)
            .unwrap()
            .contains("ok")
    );
    // More than the sockets between hold, and than may lag; less than history keeps.
    let long = "x".repeat(40_000);
    for number in 0..150 {
        post(server.address, "lobby", &format!("{number} {long}"));
    }
    let mut reader = BufReader::new(rests);
    for number in 0..150 {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let begin = format!("\"data\":\"{number} x");
        assert!(
            line.contains(&begin),
            "{number}: {}",
            &line[..200.min(line.len())]
        );
        assert!(line.len() > 40_000);
    }
}

#[test]
fn a_host_gets_its_own_certificate_and_an_unknown_one_the_first() {
    let authority = Authority::new();
    let sources = [["a.example"], ["*.b.example"], ["localhost"]];
    let sources = sources
        .iter()
        .map(|names| authority.source(names))
        .collect();
    let server = Running::with(with(sources, 1));
    let client = authority.client();
    for name in ["a.example", "x.b.example", "X.B.Example", "localhost"] {
        let answer = ask(&mut open(&server, &client, name), r#"{"who":"lobby"}"#).unwrap();
        assert!(answer.contains("lobby"), "{name}: {answer}");
    }
    for name in ["c.example", "x.y.b.example", "b.example"] {
        let error = ask(&mut open(&server, &client, name), "{}").unwrap_err();
        assert!(
            error.to_string().contains("not valid for name"),
            "{name}: {error}"
        );
    }
    // Nobody else notices.
    let mut stream = open(&server, &client, "localhost");
    assert!(
        ask(&mut stream, r#"{"who":"lobby"}"#)
            .unwrap()
            .contains("lobby")
    );
}

#[test]
fn a_client_certificate_is_judged_and_may_be_required() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let ca = folder().join("clients.pem");
    std::fs::write(&ca, &clients.pem).unwrap();
    let name = |params: &mut CertificateParams| {
        params
            .distinguished_name
            .push(DnType::CommonName, "sensor-7");
    };
    let known = authority.client_with(rustls::ALL_VERSIONS, Some(clients.vouch_as(&[], name)));
    let foreign = authority.client_with(rustls::ALL_VERSIONS, Some(strangers.vouch_as(&[], name)));
    let nobody = authority.client();
    let come_in = |server: &Running, client| {
        ask(&mut open(server, client, "localhost"), r#"{"who":"lobby"}"#)
    };
    for is_required in [false, true] {
        let mut config = with(vec![authority.source(&["localhost"])], 2);
        config.tls.clients = if is_required {
            ClientCertificates::Required(ca.clone())
        } else {
            ClientCertificates::Optional(ca.clone())
        };
        let server = Running::with(config);
        for _ in 0..2 {
            // The second time by resumption.
            assert!(come_in(&server, &known).unwrap().contains("lobby"));
        }
        assert!(come_in(&server, &foreign).is_err());
        assert_eq!(come_in(&server, &nobody).is_err(), is_required);
    }
}

#[test]
fn where_tls_is_required_clear_text_is_refused_in_its_own_words() {
    let authority = Authority::new();
    let mut config = with(vec![authority.source(&["localhost"])], 1);
    config.tls.required = true;
    let server = Running::with(config);
    let say = |text: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let answer = say("GET /r/a%20b?who HTTP/1.1\r\nHost: localhost:8443\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
    assert!(
        answer.contains("\r\nLocation: https://localhost:8443/r/a%20b?who\r\n"),
        "{answer}"
    );
    for request in [
        "POST /r/lobby HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi",
        "GET /r/lobby HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET nonsense HTTP/1.1\r\n\r\n",
    ] {
        let answer = say(request);
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("tls-required"), "{answer}");
    }
    assert!(say("{\"publish\":\"lobby\",\"data\":1}\n").contains(r#""bye":"refused""#));
    assert!(say("hello\n").contains("TLS only"));
    let mut stream = open(&server, &authority.client(), "localhost");
    let page = ask(&mut stream, r#"{"history":"lobby"}"#).unwrap();
    assert!(page.contains("\"messages\":[]"), "{page}");
}

#[test]
fn without_a_certificate_tls_gets_an_alert() {
    let server = Running::new(1);
    let error = ask(
        &mut open(&server, &Authority::new().client(), "localhost"),
        "{}",
    )
    .unwrap_err();
    assert!(error.to_string().contains("HandshakeFailure"), "{error}");
}

#[test]
fn handshakes_that_never_end_hold_up_nobody() {
    let authority = Authority::new();
    let mut config = with(vec![authority.source(&["localhost"])], 1);
    config.limits = Limits {
        handshake_ms_max: 300,
        ..Limits::default()
    };
    let server = Running::with(config);
    let slow: Vec<_> = (0..300)
        .map(|number: usize| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            // A ClientHello that goes on for 500 bytes, of which few come.
            let begin = [0x16, 3, 1, 1, 0xf4, 1, 0, 1, 0xf0, 3, 3];
            stream.write_all(&begin[..2 + number % 10]).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        })
        .collect();
    let client = authority.client();
    for _ in 0..5 {
        let mut stream = open(&server, &client, "localhost");
        assert!(
            ask(&mut stream, r#"{"who":"lobby"}"#)
                .unwrap()
                .contains("lobby")
        );
    }
    // They are closed when their time is up.
    for mut stream in slow {
        assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)));
    }
}

#[test]
fn a_flood_of_hellos_and_noise_leaves_the_server_whole() {
    let authority = Authority::new();
    let server = Running::with(with(vec![authority.source(&["localhost"])], 2));
    let client = authority.client();
    let mut listens = open(&server, &client, "localhost");
    assert!(
        ask(&mut listens, r#"{"join":"lobby"}"#)
            .unwrap()
            .contains("ok")
    );
    let address = server.address;
    let floods: Vec<_> = (0..4_u8)
        .map(|kind| {
            let client = Arc::clone(&client);
            std::thread::spawn(move || {
                for round in 0..150_u8 {
                    let Ok(mut stream) = TcpStream::connect(address) else {
                        continue;
                    };
                    let name = ServerName::try_from("localhost").unwrap();
                    let mut connection = ClientConnection::new(Arc::clone(&client), name).unwrap();
                    let mut hello = Vec::new();
                    connection.write_tls(&mut hello).unwrap();
                    match kind {
                        // Whole, and nothing behind it.
                        0 => {}
                        // Noise behind it.
                        1 => {
                            hello
                                .extend((0..2_000_u32).map(|n| (n % 251).to_le_bytes()[0] ^ round));
                        }
                        // Noise in it.
                        2 => {
                            let at = usize::from(round) * 3 % hello.len();
                            hello[at.max(2)] ^= 0x55;
                        }
                        // Records without end.
                        _ => hello = [0x16, 3, 1, 0x40, 0].repeat(20_000),
                    }
                    let _ = stream.write_all(&hello);
                }
            })
        })
        .collect();
    for number in 0..50 {
        let text = format!("{number}");
        post(server.address, "lobby", &text);
        assert!(
            hear(&mut listens)
                .unwrap()
                .contains(&format!("\"data\":\"{text}\""))
        );
    }
    for flood in floods {
        flood.join().unwrap();
    }
    let mut stream = open(&server, &client, "localhost");
    assert!(
        ask(&mut stream, r#"{"who":"lobby"}"#)
            .unwrap()
            .contains("lobby")
    );
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let (before, after) = (Authority::new(), Authority::new());
    let folder = folder();
    let source = write(&folder, &before.vouch(&["localhost"]));
    let server = Running::with(with(vec![source], 2));
    let (old, new) = (before.client(), after.client());
    let trusts = |client: &Arc<ClientConfig>| {
        let mut stream = open(&server, client, "localhost");
        ask(&mut stream, r#"{"who":"lobby"}"#).is_ok_and(|answer| answer.contains("lobby"))
    };
    assert!(trusts(&old) && !trusts(&new));

    // Somebody listens and somebody speaks all the while.
    let mut listens = open(&server, &old, "localhost");
    assert!(
        ask(&mut listens, r#"{"join":"lobby"}"#)
            .unwrap()
            .contains("ok")
    );
    let mut says = open(&server, &old, "localhost");
    let ends = Arc::new(AtomicBool::new(false));
    let speaker = std::thread::spawn({
        let ends = Arc::clone(&ends);
        move || {
            let mut said = 0_u32;
            while !ends.load(Ordering::Relaxed) {
                let unit = format!(r#"{{"publish":"lobby","data":{said}}}"#);
                assert!(ask(&mut says, &unit).unwrap().contains("ok"));
                said += 1;
            }
            said
        }
    });

    // A key that is another's, a text that is none, a file that is gone: the old one stays.
    std::fs::write(folder.join("key.pem"), after.vouch(&["localhost"]).1).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert!(trusts(&old) && !trusts(&new));
    std::fs::write(folder.join("chain.pem"), "nothing").unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert!(trusts(&old));
    std::fs::remove_file(folder.join("chain.pem")).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert!(trusts(&old));
    write(&folder, &after.vouch(&["localhost"]));
    until("the new certificate is not shown", || trusts(&new));

    ends.store(true, Ordering::Relaxed);
    let said = speaker.join().unwrap();
    for number in 0..said {
        let line = hear(&mut listens).unwrap();
        assert!(
            line.contains(&format!("\"data\":{number}")),
            "{number}: {line}"
        );
    }
}

#[test]
fn a_certificate_that_cannot_be_used_keeps_no_other_from_being_renewed() {
    let (before, after) = (Authority::new(), Authority::new());
    let folders = [folder(), folder()];
    let names = ["one.example", "two.example"];
    let sources = [0, 1].map(|at| write(&folders[at], &before.vouch(&[names[at]])));
    let server = Running::with(with(sources.to_vec(), 1));
    let (old, new) = (before.client(), after.client());
    let trusts = |client: &Arc<ClientConfig>, name: &str| {
        let mut stream = open(&server, client, name);
        ask(&mut stream, r#"{"who":"lobby"}"#).is_ok_and(|answer| answer.contains("lobby"))
    };
    std::fs::write(folders[0].join("chain.pem"), "nothing").unwrap();
    write(&folders[1], &after.vouch(&[names[1]]));
    until("the other one is not renewed", || trusts(&new, names[1]));
    assert!(trusts(&old, names[0]), "it stays as it was");
    write(&folders[0], &after.vouch(&[names[0]]));
    until("it is renewed at last", || trusts(&new, names[0]));
}

#[test]
fn a_certificate_that_is_valid_in_a_moment_is_taken_then() {
    let (before, after) = (Authority::new(), Authority::new());
    let folder = folder();
    let server = Running::with(with(vec![write(&folder, &before.vouch(&["localhost"]))], 1));
    let (old, new) = (before.client(), after.client());
    let trusts = |client: &Arc<ClientConfig>| {
        let mut stream = open(&server, client, "localhost");
        ask(&mut stream, r#"{"who":"lobby"}"#).is_ok_and(|answer| answer.contains("lobby"))
    };
    // The clock of who signs it goes before ours. Nothing touches the files again.
    let early = after.vouch_as(&["localhost"], |params| {
        let now = std::time::SystemTime::now() + Duration::from_secs(2);
        params.not_before = now.into();
    });
    write(&folder, &early);
    assert!(trusts(&old));
    until("it is not taken when its time has come", || trusts(&new));
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_at_the_start() {
    let authority = Authority::new();
    let folder = folder();
    let check = |certificates: Vec<CertificateSource>| {
        TlsConfig {
            certificates,
            ..TlsConfig::default()
        }
        .check()
    };
    let (chain, _) = authority.vouch(&["localhost"]);
    let (_, key) = authority.vouch(&["localhost"]);
    let error = check(vec![write(&folder, &(chain.clone(), key))]).unwrap_err();
    assert!(matches!(error, TlsError::WrongKey { .. }), "{error}");

    let old = authority.vouch_as(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    });
    let error = check(vec![write(&folder, &old)]).unwrap_err();
    assert!(
        error.to_string().contains("expired on 2021-02-03"),
        "{error}"
    );

    let error = check(vec![write(&folder, &authority.vouch(&[]))]).unwrap_err();
    assert!(matches!(error, TlsError::NoName { .. }), "{error}");

    let error = check(vec![write(&folder, &(chain.clone(), chain.clone()))]).unwrap_err();
    assert!(error.to_string().contains("no private key"), "{error}");

    let half = (chain[..chain.len() / 2].to_owned(), String::new());
    let error = check(vec![write(&folder, &half)]).unwrap_err();
    assert!(error.to_string().contains("the file is cut off"), "{error}");

    let (own, key) = authority.vouch(&["localhost"]);
    let turned = (format!("{}{own}", authority.pem), key);
    let error = check(vec![write(&folder, &turned)]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the key is that of certificate 2"),
        "{error}"
    );

    let gone = CertificateSource::Files {
        chain: folder.join("gone.pem"),
        key: folder.join("gone.pem"),
    };
    let error = check(vec![gone]).unwrap_err();
    assert!(
        error.to_string().contains("there is no such file"),
        "{error}"
    );

    let required = TlsConfig {
        required: true,
        ..TlsConfig::default()
    };
    assert!(matches!(
        required.check(),
        Err(TlsError::NoCertificate { .. })
    ));

    let SelfSigned { chain, key } = SelfSigned::new(&["localhost".into(), "::1".into()]).unwrap();
    let facts = check(vec![CertificateSource::Pem { chain, key }]).unwrap();
    assert_eq!(facts[0].names, ["localhost", "::1"]);
    assert!(facts[0].is_for("LocalHost") && !facts[0].is_for("example.org"));
}
