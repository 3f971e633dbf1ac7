//! What the limits are told: plain values.

use taut_hub::rate::Rate;

use taut_auth::Network;

/// How fast something may be done. 0 a second is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerSecond {
    /// Units a second, over time.
    pub per_s: u64,
    /// Units at once, after a rest.
    pub burst: u64,
}

impl PerSecond {
    pub(crate) fn rate(self) -> Option<Rate> {
        Rate::new(self.per_s, self.burst)
    }
}

/// What one Conn may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnRates {
    /// Messages that it publishes; each of a batch counts. Default 200 a second, 1,000 at once: a game says 60 a second.
    pub messages: PerSecond,
    /// Bytes of their bodies. Default 1 MiB a second, 4 MiB at once.
    pub bytes: PerSecond,
    /// Rooms that it joins. Default 20 a second, 512 at once: who comes back joins all of its rooms, 256 at most, and may have to do it twice.
    pub joins: PerSecond,
    /// Looks at history, at a room's state, or at who is there. Default 100 a second, 1,000 at once: a long poll is one at each message.
    pub reads: PerSecond,
}

/// What all Conns of one address may do: an address of IPv4, or 64 bits of IPv6. Many people may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRates {
    /// Conns that may be open; 0 is no limit. Default 2,000.
    pub conns_max: u32,
    /// Conns that it opens. Default 100 a second, 1,000 at once.
    pub opens: PerSecond,
    /// Messages. Default 2,000 a second, 10,000 at once.
    pub messages: PerSecond,
    /// Bytes of their bodies. Default 8 MiB a second, 32 MiB at once.
    pub bytes: PerSecond,
    /// Joins. Default 500 a second, 10,000 at once.
    pub joins: PerSecond,
    /// Reads. Default 1,000 a second, 10,000 at once.
    pub reads: PerSecond,
}

/// What all Conns of one verified user may do, wherever they come from. By default nothing of it is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserRates {
    /// Conns that may be open; 0 is no limit.
    pub conns_max: u32,
    /// Rooms that they may be in, counted for each Conn; 0 is no limit.
    pub rooms_max: u32,
    /// Conns that begin to be this user's.
    pub opens: PerSecond,
    /// Messages.
    pub messages: PerSecond,
    /// Bytes of their bodies.
    pub bytes: PerSecond,
    /// Joins.
    pub joins: PerSecond,
    /// Reads.
    pub reads: PerSecond,
}

/// How fast strangers may do things, and who is no stranger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Of one Conn.
    pub conn: ConnRates,
    /// Of one address.
    pub address: AddressRates,
    /// Of one verified user.
    pub user: UserRates,
    /// Addresses that are not limited, and whose Conns are not, but as their users. Default: those of this machine. Unix sockets never are.
    pub exempt: Vec<Network>,
    /// Bytes of memory from which on nobody new is let in; 0 is 90 % of what the machine, or its control group, has.
    pub memory_bytes_max: u64,
}

const fn per_s(per_s: u64, burst: u64) -> PerSecond {
    PerSecond { per_s, burst }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            conn: ConnRates {
                messages: per_s(200, 1_000),
                bytes: per_s(1 << 20, 4 << 20),
                joins: per_s(20, 512),
                reads: per_s(100, 1_000),
            },
            address: AddressRates {
                conns_max: 2_000,
                opens: per_s(100, 1_000),
                messages: per_s(2_000, 10_000),
                bytes: per_s(8 << 20, 32 << 20),
                joins: per_s(500, 10_000),
                reads: per_s(1_000, 10_000),
            },
            user: UserRates {
                conns_max: 0,
                rooms_max: 0,
                opens: per_s(0, 100),
                messages: per_s(0, 1_000),
                bytes: per_s(0, 4 << 20),
                joins: per_s(0, 512),
                reads: per_s(0, 1_000),
            },
            exempt: Network::loopback(),
            memory_bytes_max: 0,
        }
    }
}
