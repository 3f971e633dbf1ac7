//! Certificates that end: said when the last week begins, and once a day from then on, however long the server runs.

use std::collections::HashMap;

use super::paper::CertificateFacts;

const DAY_S: i64 = 86_400;
/// From so many days before its end on, a certificate is warned of.
const WARN_DAYS: i64 = 7;

/// What has been said of the certificates in force.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// By the fingerprint: how many whole days were left when it was last said.
    told: HashMap<String, i64>,
}

impl Endings {
    /// Those of which is to be said now that they end, each with the whole days that are left; below 0 it has ended.
    pub(super) fn news<'a>(
        &mut self,
        facts: &'a [CertificateFacts],
        now_unix_s: i64,
    ) -> Vec<(&'a CertificateFacts, i64)> {
        let ending: Vec<_> = facts
            .iter()
            .map(|facts| (facts, (facts.until_unix_s - now_unix_s).div_euclid(DAY_S)))
            .filter(|(_, days)| *days < WARN_DAYS)
            .collect();
        let told = std::mem::take(&mut self.told);
        for (facts, days) in &ending {
            self.told.insert(facts.fingerprint.clone(), *days);
        }
        let is_news =
            |(facts, days): &(&CertificateFacts, i64)| told.get(&facts.fingerprint) != Some(days);
        ending.into_iter().filter(is_news).collect()
    }

    /// Says it in the log.
    pub(super) fn tell(&mut self, facts: &[CertificateFacts], now_unix_s: i64) {
        for (facts, days) in self.news(facts, now_unix_s) {
            let CertificateFacts { file, until, .. } = facts;
            if days < 0 {
                tracing::error!(
                    file,
                    until,
                    "a certificate has ended, and clients refuse it; renew it"
                );
            } else {
                tracing::warn!(file, until, days, "a certificate ends soon; renew it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(day: i64, fingerprint: &str) -> CertificateFacts {
        CertificateFacts {
            file: "chain.pem".into(),
            names: vec!["localhost".into()],
            until: "-".into(),
            until_unix_s: day * DAY_S,
            fingerprint: fingerprint.into(),
        }
    }

    #[test]
    fn the_last_week_is_said_once_a_day_and_so_is_the_end() {
        let (mut endings, facts) = (Endings::default(), [until(100, "a"), until(500, "b")]);
        let mut days = |now_s: i64| -> Vec<i64> {
            let news = endings.news(&facts, now_s).into_iter();
            news.map(|(_, days)| days).collect()
        };
        assert_eq!(days(0), [0_i64; 0]);
        assert_eq!(days(93 * DAY_S), [0_i64; 0], "seven days are left");
        assert_eq!(days(93 * DAY_S + 1), [6]);
        assert_eq!(days(94 * DAY_S), [0_i64; 0]);
        assert_eq!(days(94 * DAY_S + 1), [5]);
        assert_eq!(days(100 * DAY_S), [0]);
        assert_eq!(days(100 * DAY_S + 1), [-1]);
        assert_eq!(days(100 * DAY_S + 2), [0_i64; 0]);
        assert_eq!(days(101 * DAY_S + 1), [-2]);
    }

    #[test]
    fn what_was_renewed_is_said_no_more() {
        let mut endings = Endings::default();
        assert_eq!(endings.news(&[until(100, "a")], 99 * DAY_S).len(), 1);
        assert_eq!(endings.news(&[until(200, "b")], 99 * DAY_S).len(), 0);
        assert!(endings.told.is_empty());
    }
}
