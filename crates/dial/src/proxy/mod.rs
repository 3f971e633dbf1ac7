//! Through a proxy: it is asked for a way to the target, and from then on the stream is the target's.
//!
//! Not one byte behind the proxy's answer is read: targets may speak first.

mod connect;
mod socks;

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::error::DialError;
use crate::settings::{Proxy, ProxyKind};
use crate::telling::Telling;
use crate::url::Url;

/// Asks the proxy for a way to `url`, or to `target` where its name was resolved here.
pub(crate) async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    url: &Url,
    target: Option<SocketAddr>,
    proxy: &Proxy,
    telling: &Telling<'_>,
) -> Result<(), DialError> {
    let talk = Talk {
        url,
        target,
        proxy,
        telling,
    };
    match proxy.kind {
        ProxyKind::HttpConnect => connect::pass(stream, &talk).await,
        ProxyKind::Socks5 | ProxyKind::Socks5h => socks::pass(stream, &talk).await,
    }
}

/// Who talks about what.
struct Talk<'t> {
    url: &'t Url,
    target: Option<SocketAddr>,
    proxy: &'t Proxy,
    telling: &'t Telling<'t>,
}

impl Talk<'_> {
    fn fail(&self, text: impl Into<String>, status: Option<u16>, may_pass: bool) -> DialError {
        DialError::Proxy {
            proxy: self.proxy.to_string(),
            text: text.into(),
            status,
            may_pass,
        }
    }

    fn broken(&self, error: &std::io::Error) -> DialError {
        let text = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "hung up in the middle of the talk".into(),
            _ => format!("broke the connection: {}", crate::error::plain(error)),
        };
        self.fail(text, None, true)
    }

    /// What the proxy sent is of another protocol. A little more of it is taken, if it is there, to show it.
    async fn wrong_protocol<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        expected: &'static str,
        mut bytes: Vec<u8>,
    ) -> DialError {
        let more = stream.read_buf(&mut bytes);
        // Whether more comes changes nothing but the example.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(50), more).await;
        match self.telling.wrong_protocol(expected, &bytes) {
            DialError::WrongProtocol {
                expected,
                got,
                looks_like,
                ..
            } => DialError::WrongProtocol {
                place: format!("the proxy {}", self.proxy),
                expected,
                got,
                looks_like,
            },
            other => other,
        }
    }
}
