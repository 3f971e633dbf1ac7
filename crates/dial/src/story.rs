//! The story of how a socket came about: told live, scene by scene, to whoever wants to teach, log or debug.
//!
//! Invariants:
//! - No scene holds a password, a private key or the value of an `Authorization`, `Proxy-Authorization` or `Cookie` field.
//! - What a peer sent is in a scene as it came: whoever shows it on a terminal escapes it.

use std::net::SocketAddr;

use crate::tls::Certificate;

/// Who is told. Called on the task that connects, so it must not block for long.
pub trait Story: Send + Sync {
    /// One thing that has happened or begins now.
    fn tell(&self, scene: &Scene<'_>);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untold;

impl Story for Untold {
    fn tell(&self, _: &Scene<'_>) {}
}

/// One thing that happens on the way to an open socket, in this order but for what a URL does not need.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Scene<'a> {
    /// A name is looked up.
    Resolving {
        /// The name.
        host: &'a str,
    },
    /// Its addresses, in the order in which they will be tried; those of the family that was not wanted are left out.
    Resolved {
        /// The name.
        host: &'a str,
        /// At most 16.
        addresses: &'a [SocketAddr],
        /// Who knew them.
        source: Source,
    },
    /// An address is tried. Others may be under way.
    Attempting {
        /// The address.
        address: SocketAddr,
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// An attempt has failed.
    AttemptFailed {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: &'a str,
    },
    /// An attempt that was still under way when another had won.
    Abandoned {
        /// The address.
        address: SocketAddr,
    },
    /// A socket is connected: to the peer, or to the proxy where there is one.
    Connected {
        /// Our address; for a Unix socket mostly `unnamed`.
        local: &'a str,
        /// The other end's.
        peer: &'a str,
    },
    /// A socket option, as it was set or as the system has it.
    Option {
        /// Its name, for example `TCP_NODELAY`.
        name: &'static str,
        /// Its value, with its unit.
        value: &'a str,
        /// Whether we set it.
        is_set: bool,
    },
    /// What a proxy was asked, in lines; SOCKS in words.
    ProxyAsked {
        /// Without secrets.
        request: &'a str,
    },
    /// What it answered.
    ProxyAnswered {
        /// As the peer sent it; SOCKS in words.
        answer: &'a str,
    },
    /// The TLS handshake begins.
    TlsBegun {
        /// The name that is asked for (SNI).
        server_name: &'a str,
        /// The protocols that are offered.
        alpn: &'a [String],
        /// Whether a certificate that is not to be trusted ends it.
        verifying: bool,
    },
    /// The peer asked who we are.
    TlsIdentityAsked {
        /// Whether we had a certificate to show.
        shown: bool,
    },
    /// The certificate is not to be trusted.
    TlsDistrusted {
        /// Why, in a sentence.
        why: &'a str,
        /// The peer's own first.
        certificates: &'a [Certificate],
        /// Whether it goes on nevertheless ([`Tls::insecure`](crate::Tls::insecure)).
        passed: bool,
    },
    /// The handshake is done.
    TlsDone {
        /// For example `TLS 1.3`.
        version: &'a str,
        /// For example `TLS13_AES_256_GCM_SHA384`.
        cipher: &'a str,
        /// How the key was agreed upon, for example `X25519MLKEM768`; empty where it is not known.
        key_exchange: &'a str,
        /// The protocol that the peer chose.
        alpn: Option<&'a str>,
        /// The peer's own first; empty after a resumption.
        certificates: &'a [Certificate],
        /// Whether an earlier session was taken up again.
        resumed: bool,
    },
    /// The WebSocket's opening request.
    UpgradeAsked {
        /// The head as it was sent, without secrets.
        head: &'a str,
        /// The value of `Sec-WebSocket-Key`.
        key: &'a str,
    },
    /// The answer to it.
    UpgradeAnswered {
        /// The head as it came.
        head: &'a str,
        /// The `Sec-WebSocket-Accept` that belongs to the key: the base64 of the SHA-1 of `joined`.
        accept_expected: &'a str,
        /// The one that came.
        accept_got: Option<&'a str>,
        /// The key with the number of RFC 6455 §1.3 behind it: what is hashed.
        joined: &'a str,
    },
}

/// Who knew the addresses of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The system's resolver: its hosts file, DNS, or whatever it is set to.
    System,
    /// `localhost` is always this machine (RFC 6761 §6.3); nobody is asked.
    Localhost,
    /// The host is an address.
    Address,
}

impl Source {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::System => "system resolver",
            Self::Localhost => "localhost is always this machine (RFC 6761)",
            Self::Address => "it is an address",
        }
    }
}
