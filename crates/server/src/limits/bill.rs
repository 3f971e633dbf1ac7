//! What one Conn holds of the limits: its places in the accounts of its address and of its user, and what it has used up itself.

use taut_hub::rate::Rate;

use super::account::{Meter, Place};
use super::rules::{OF_ADDRESS, OF_CONN, OF_USER, Rules};
use super::share::Share;
use super::{Cost, Over, Turned};

/// What one Conn holds of the limits.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    /// None of who is exempt by its address; nor has that a limit of its own.
    pub(super) place: Option<Place>,
    /// None while nobody knows whose it is.
    pub(super) share: Option<Box<Share>>,
    messages: Meter,
    bytes: Meter,
    joins: Meter,
    reads: Meter,
    /// Why it is not let in, where it is only here to be told so.
    pub(crate) turned: Option<Box<Turned>>,
}

impl Bill {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place: Some(place),
            ..Self::default()
        }
    }

    /// The bill of who is turned away.
    pub(crate) fn of_turned(turned: Turned) -> Self {
        Self {
            turned: Some(Box::new(turned)),
            ..Self::default()
        }
    }

    /// Whether there is nothing on it.
    pub(super) fn is_empty(&self) -> bool {
        self.place.is_none() && self.share.is_none() && self.turned.is_none()
    }

    /// Forgets what the Conn has used up: the rates are other ones.
    pub(super) fn begin_anew(&self) {
        for meter in [&self.messages, &self.bytes, &self.joins, &self.reads] {
            meter.begin_anew();
        }
    }

    /// Everything that limits it, in the order in which it is asked.
    pub(super) fn rows<'a>(&'a self, rules: &'a Rules, cost: Cost) -> [Row<'a>; 6] {
        let [mut own, mut address, mut user] = [[Row::NONE; 2]; 3];
        if let Some(place) = &self.place {
            let meters = [&self.messages, &self.bytes, &self.joins, &self.reads];
            own = rules.conn.rows_of(meters, cost, &OF_CONN);
            address = rules.address.rates.rows(place.account(), cost, &OF_ADDRESS);
        }
        if let Some(share) = &self.share {
            user = rules.user.rates.rows(share.account(), cost, &OF_USER);
        }
        [own[0], own[1], address[0], address[1], user[0], user[1]]
    }
}

/// One meter, its rate, and what is asked of it.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) meter: Option<&'a Meter>,
    pub(super) rate: Option<&'a Rate>,
    pub(super) units: u64,
    pub(super) text: &'static str,
}

impl Row<'_> {
    /// Nothing that limits anything.
    pub(super) const NONE: Self = Self {
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

/// Takes from all rows or from none. What was taken before the one that refuses is given back.
pub(super) fn take(rows: &[Row<'_>], now_ns: u64) -> Result<(), Over> {
    for (index, row) in rows.iter().enumerate() {
        let took = row
            .meter
            .map_or(Ok(()), |meter| meter.take(row.rate, now_ns, row.units));
        let Err(wait_ns) = took else {
            continue;
        };
        give_back(rows.get(..index).unwrap_or_default());
        return Err(longest(rows, now_ns, row.over(wait_ns)));
    }
    Ok(())
}

/// Gives back what was taken.
pub(super) fn give_back(rows: &[Row<'_>]) {
    for taken in rows {
        if let Some(meter) = taken.meter {
            meter.give_back(taken.rate, taken.units);
        }
    }
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
