//! What one Conn holds of the limits: its place in its address's account, and what it has used up itself.

use taut_hub::rate::Rate;

use super::account::{Account, Meter, Place};
use super::shared::Rates;
use super::{Cost, Limits, Over, Turned};

/// What one Conn holds of the limits.
#[derive(Debug)]
pub(crate) struct Bill {
    pub(super) place: Option<Place>,
    messages: Meter,
    bytes: Meter,
    joins: Meter,
    /// Why it is not let in, where it is only here to be told so.
    pub(crate) turned: Option<Turned>,
}

impl Bill {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place: Some(place),
            turned: None,
            messages: Meter::default(),
            bytes: Meter::default(),
            joins: Meter::default(),
        }
    }

    /// The bill of who is turned away.
    pub(crate) fn of_turned(turned: Turned) -> Self {
        Self {
            place: None,
            turned: Some(turned),
            messages: Meter::default(),
            bytes: Meter::default(),
            joins: Meter::default(),
        }
    }

    /// Everything that limits it, in the order in which it is asked.
    pub(super) fn rows<'a>(&'a self, limits: &'a Limits, cost: Cost) -> [Row<'a>; 6] {
        let conn = &limits.conn;
        let account = self.place.as_ref().map(Place::account);
        let [messages, bytes, joins] = match account {
            Some(account) => rows_of(account, &limits.address, cost),
            None => [Row::NONE; 3],
        };
        [
            Row {
                meter: Some(&self.messages),
                rate: conn.messages.as_ref(),
                units: cost.messages,
                text: "this connection sends messages faster than limits.conn.messages_per_s allows",
            },
            Row {
                meter: Some(&self.bytes),
                rate: conn.bytes.as_ref(),
                units: cost.bytes,
                text: "this connection sends more bytes than limits.conn.bytes_per_s allows",
            },
            Row {
                meter: Some(&self.joins),
                rate: conn.joins.as_ref(),
                units: cost.joins,
                text: "this connection joins rooms faster than limits.conn.joins_per_s allows",
            },
            messages,
            bytes,
            joins,
        ]
    }
}

/// One meter, its rate, and what is asked of it.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) meter: Option<&'a Meter>,
    pub(super) rate: Option<&'a Rate>,
    pub(super) units: u64,
    text: &'static str,
}

impl Row<'_> {
    /// Nothing that limits anything.
    const NONE: Self = Self {
        meter: None,
        rate: None,
        units: 0,
        text: "",
    };

    fn over(&self, wait_ns: u64) -> Over {
        Over {
            text: self.text,
            wait_ns,
        }
    }
}

/// The rows of an account.
pub(super) fn rows_of<'a>(account: &'a Account, rates: &'a Rates, cost: Cost) -> [Row<'a>; 3] {
    [
        Row {
            meter: Some(&account.messages),
            rate: rates.messages.as_ref(),
            units: cost.messages,
            text: "your address sends messages faster than limits.address.messages_per_s allows",
        },
        Row {
            meter: Some(&account.bytes),
            rate: rates.bytes.as_ref(),
            units: cost.bytes,
            text: "your address sends more bytes than limits.address.bytes_per_s allows",
        },
        Row {
            meter: Some(&account.joins),
            rate: rates.joins.as_ref(),
            units: cost.joins,
            text: "your address joins rooms faster than limits.address.joins_per_s allows",
        },
    ]
}

/// Takes from all rows or from none. What was taken before the one that refuses is given back.
pub(super) fn take(rows: &[Row<'_>], now_ns: u64) -> Result<(), Over> {
    for (index, row) in rows.iter().enumerate() {
        let took = row
            .meter
            .map_or(Ok(()), |meter| meter.take(row.rate, now_ns, row.units));
        let Err(wait_ns) = took else {
            continue;
        };
        for taken in rows.iter().take(index) {
            if let Some(meter) = taken.meter {
                meter.give_back(taken.rate, taken.units);
            }
        }
        return Err(longest(rows, now_ns, row.over(wait_ns)));
    }
    Ok(())
}

/// The longest wait of all rows: what one of them lets pass another may not.
pub(super) fn longest(rows: &[Row<'_>], now_ns: u64, over: Over) -> Over {
    rows.iter().fold(over, |over, row| {
        let wait_ns = row
            .meter
            .map_or(0, |meter| meter.wait_ns(row.rate, now_ns, row.units));
        over.or_later(row.over(wait_ns))
    })
}
