//! The limits in force, as values: what a reload replaces, while the accounts stay.

use taut_auth::Network;
use taut_hub::rate::Rate;

use super::account::Account;
use super::bill::Row;
use super::{Cost, RateLimits};

/// The rates that Conns, addresses and users all have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(super) messages: Option<Rate>,
    pub(super) bytes: Option<Rate>,
    pub(super) joins: Option<Rate>,
    pub(super) reads: Option<Rate>,
}

/// What an account has beside them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(super) rates: Rates,
    pub(super) opens: Option<Rate>,
    pub(super) conns_max: u32,
    pub(super) rooms_max: u32,
}

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(super) conn: Rates,
    pub(super) address: Shared,
    pub(super) user: Shared,
    pub(super) exempt: Vec<Network>,
    /// Whether Conns and addresses are limited at all.
    pub(super) counts_addresses: bool,
    /// Whether users are.
    pub(super) counts_users: bool,
}

/// What is said about somebody who is too fast.
pub(super) struct Words {
    pub(super) messages: &'static str,
    pub(super) bytes: &'static str,
    pub(super) joins: &'static str,
    pub(super) reads: &'static str,
}

pub(super) const OF_CONN: Words = Words {
    messages: "this connection sends messages faster than limits.conn.messages_per_s allows",
    bytes: "this connection sends more bytes than limits.conn.bytes_per_s allows",
    joins: "this connection joins rooms faster than limits.conn.joins_per_s allows",
    reads: "this connection reads faster than limits.conn.reads_per_s allows",
};

pub(super) const OF_ADDRESS: Words = Words {
    messages: "your address sends messages faster than limits.address.messages_per_s allows",
    bytes: "your address sends more bytes than limits.address.bytes_per_s allows",
    joins: "your address joins rooms faster than limits.address.joins_per_s allows",
    reads: "your address reads faster than limits.address.reads_per_s allows",
};

pub(super) const OF_USER: Words = Words {
    messages: "your user sends messages faster than limits.user.messages_per_s allows",
    bytes: "your user sends more bytes than limits.user.bytes_per_s allows",
    joins: "your user joins rooms faster than limits.user.joins_per_s allows",
    reads: "your user reads faster than limits.user.reads_per_s allows",
};

impl Rules {
    pub(super) fn new(config: &RateLimits) -> Self {
        let RateLimits {
            conn,
            address,
            user,
            ..
        } = config;
        let conn = Rates {
            messages: conn.messages.rate(),
            bytes: conn.bytes.rate(),
            joins: conn.joins.rate(),
            reads: conn.reads.rate(),
        };
        let address = Shared {
            rates: Rates {
                messages: address.messages.rate(),
                bytes: address.bytes.rate(),
                joins: address.joins.rate(),
                reads: address.reads.rate(),
            },
            opens: address.opens.rate(),
            conns_max: address.conns_max,
            rooms_max: 0,
        };
        let user = Shared {
            rates: Rates {
                messages: user.messages.rate(),
                bytes: user.bytes.rate(),
                joins: user.joins.rate(),
                reads: user.reads.rate(),
            },
            opens: user.opens.rate(),
            conns_max: user.conns_max,
            rooms_max: user.rooms_max,
        };
        Self {
            counts_addresses: conn != Rates::default() || address != Shared::default(),
            counts_users: user != Shared::default(),
            conn,
            address,
            user,
            exempt: config.exempt.clone(),
        }
    }
}

impl Rates {
    /// The rows of an account for what something costs.
    pub(super) fn rows<'a>(
        &'a self,
        account: &'a Account,
        cost: Cost,
        words: &Words,
    ) -> [Row<'a>; 2] {
        let meters = [
            &account.messages,
            &account.bytes,
            &account.joins,
            &account.reads,
        ];
        self.rows_of(meters, cost, words)
    }

    /// The same of meters for messages, bytes, joins and reads.
    pub(super) fn rows_of<'a>(
        &'a self,
        [messages, bytes, joins, reads]: [&'a super::account::Meter; 4],
        cost: Cost,
        words: &Words,
    ) -> [Row<'a>; 2] {
        let row = |meter, rate: &'a Option<Rate>, units, text| Row {
            meter: Some(meter),
            rate: rate.as_ref(),
            units,
            text,
        };
        match cost {
            Cost::Said {
                messages: count,
                bytes: length,
            } => [
                row(messages, &self.messages, count, words.messages),
                row(bytes, &self.bytes, length, words.bytes),
            ],
            Cost::Join => [row(joins, &self.joins, 1, words.joins), Row::NONE],
            Cost::Read => [row(reads, &self.reads, 1, words.reads), Row::NONE],
        }
    }
}
