//! What `pub`, `sub` and `who` share: a runtime, a client, and Ctrl-C.

use std::future::Future;
use std::time::Duration;

use taut_client::{Client, Events, Options, Proxy, Tls, Token};
use tokio::runtime::Builder;

use crate::cli::ServerArgs;
use crate::failure::{Code, Failure};

/// The time a goodbye may take at the end of a command.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs a command's future, until it is done or Ctrl-C.
///
/// The connection lives on a thread of its own, so that a stdout that blocks does not keep pings from being answered.
pub(crate) fn run(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Failure, format!("cannot start: {error}")))?;
    let interrupted = runtime.spawn(async { tokio::signal::ctrl_c().await });
    let result = runtime.block_on(async {
        tokio::select! {
            result = command => result,
            _ = interrupted => Err(Failure::quiet(Code::Interrupted)),
        }
    });
    // A thread that waits for stdin would hold the runtime's end up.
    runtime.shutdown_background();
    result
}

/// Connects to the server.
pub(crate) async fn connect(
    server: &ServerArgs,
    name: Option<&str>,
) -> Result<(Client, Events), Failure> {
    let proxy = match &server.proxy {
        Some(proxy) => Some(proxy.parse::<Proxy>().map_err(Failure::usage)?),
        None => None,
    };
    let key = server.cert_key.as_ref().or(server.cert.as_ref());
    let options = Options {
        name: name.map(str::to_owned),
        token: token(server)?,
        tls: Tls {
            authorities: server.ca.clone(),
            identity: server.cert.clone().zip(key.cloned()),
            insecure: server.insecure,
            server_name: server.server_name.clone(),
            ..Tls::default()
        },
        proxy,
        // A script rather hears of a server that stays away than waits for it.
        offline_ms_max: 30_000,
        ..Options::default()
    };
    Ok(Client::connect_with(&server.url, options).await?)
}

/// The token that the command line, the environment or a file gives.
fn token(server: &ServerArgs) -> Result<Option<Token>, Failure> {
    let Some(path) = &server.token_file else {
        let given = server.token.as_deref().filter(|token| !token.is_empty());
        return Ok(given.map(Token::new));
    };
    let read = crate::settings::auth::read_file(&path.to_string_lossy());
    let read = read.map_err(Failure::usage)?;
    let text = String::from_utf8(read)
        .map_err(|_| Failure::usage(format!("the file `{}` holds no token", path.display())))?;
    Ok(Some(Token::new(text.trim())))
}

/// Says goodbye. One that does not leave soon is left out.
pub(crate) async fn close(client: &Client) {
    let _ = tokio::time::timeout(FAREWELL, client.close()).await;
}
