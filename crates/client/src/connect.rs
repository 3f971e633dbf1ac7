//! From a URL to a carrier.

use std::time::Duration;

use tokio::time::timeout;

use crate::carrier::{Carrier, Framing};
use crate::dial::dial;
use crate::error::Error;
use crate::handshake;
use crate::lines::Lines;
use crate::options::Options;
use crate::random::Random;
use crate::url::{Scheme, Url};
use crate::websocket::WebSocket;

/// Connects once, within [`Options::connect_ms_max`].
pub(crate) async fn connect(
    url: &Url,
    options: &Options,
    random: &mut Random,
) -> Result<Carrier, Error> {
    let patience = Duration::from_millis(options.connect_ms_max);
    match timeout(patience, attempt(url, options, random)).await {
        Ok(result) => result,
        Err(_) => Err(Error::Unreachable {
            url: url.to_string(),
            text: format!("no answer within {} ms", options.connect_ms_max),
            nobody_listens: false,
        }),
    }
}

async fn attempt(url: &Url, options: &Options, random: &mut Random) -> Result<Carrier, Error> {
    let mut stream = dial(url).await?;
    let unit_bytes_max = options.unit_bytes_max;
    match url.scheme {
        Scheme::Tcp => {
            let framing = Framing::Lines(Lines::new(unit_bytes_max));
            Ok(Carrier::new(stream, framing, Vec::new()))
        }
        Scheme::WebSocket => {
            let (agreed, rest) = handshake::open(&mut stream, url, options, random).await?;
            let socket = WebSocket::new(unit_bytes_max, agreed.deflate);
            Ok(Carrier::new(
                stream,
                Framing::WebSocket(Box::new(socket)),
                rest,
            ))
        }
    }
}
