//! Dates of HTTP: what is written is read back, and each of the three formats is known (RFC 9110 §5.6.7).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;
use taut_wire::http::date::{imf_fixdate, parse};

/// 2026-11-21 00:00:00
const NOW: u64 = 1_795_219_200;

#[test]
fn the_three_formats_of_the_specification_are_one_date() {
    for text in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(parse(text, NOW), Some(784_111_777), "{text}");
    }
    assert_eq!(parse("Wed Nov 16 08:49:37 1994", NOW), Some(784_975_777));
}

#[test]
fn a_year_of_two_digits_is_the_nearest_one() {
    let year_of = |text: &str, now| {
        let written = imf_fixdate(parse(text, now).unwrap());
        written[12..16].to_owned()
    };
    assert_eq!(year_of("Sunday, 06-Nov-76 08:49:37 GMT", NOW), "2076");
    assert_eq!(year_of("Sunday, 06-Nov-77 08:49:37 GMT", NOW), "1977");
    assert_eq!(year_of("Sunday, 06-Nov-00 08:49:37 GMT", NOW), "2000");
    // 1999-12-31: `01` is two years on, not 98 back.
    assert_eq!(
        year_of("Sunday, 06-Nov-01 08:49:37 GMT", 946_598_400),
        "2001"
    );
    assert_eq!(
        parse("Tuesday, 06-Nov-56 08:49:37 GMT", 0),
        Some(0),
        "1956 said in 1970"
    );
}

#[test]
fn what_is_no_date_is_none() {
    for text in [
        "",
        " ",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:37  GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Foo, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sün, 06 Növ 1994 08:49:37 GMT",
    ] {
        assert_eq!(parse(text, NOW), None, "{text}");
    }
}

#[test]
fn leap_days_leap_seconds_and_the_edges_of_time_are_read() {
    assert_eq!(
        parse("Tue, 29 Feb 2000 00:00:00 GMT", NOW),
        Some(951_782_400)
    );
    assert_eq!(
        parse("Sat, 31 Dec 2016 23:59:60 GMT", NOW),
        Some(1_483_228_800)
    );
    assert_eq!(parse("Wed, 31 Dec 1969 23:59:59 GMT", NOW), Some(0));
    assert_eq!(parse("Sat, 01 Jan 0000 00:00:00 GMT", NOW), Some(0));
    assert_eq!(
        parse("Fri, 31 Dec 9999 23:59:59 GMT", NOW),
        Some(253_402_300_799)
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(unix_s in 0_u64..=253_402_300_799) {
        prop_assert_eq!(parse(&imf_fixdate(unix_s), NOW), Some(unix_s));
    }

    #[test]
    fn no_text_is_a_panic(text in "\\PC{0,40}", now in any::<u64>()) {
        let _ = parse(&text, now);
    }

    #[test]
    fn no_cut_or_changed_date_is_a_panic(unix_s in 0_u64..=253_402_300_799, at in 0_usize..29, with in "\\PC{0,3}", now in any::<u64>()) {
        for mut text in [imf_fixdate(unix_s), "Sunday, 06-Nov-94 08:49:37 GMT".to_owned(), "Sun Nov  6 08:49:37 1994".to_owned()] {
            let at = at.min(text.len() - 1);
            text.replace_range(at..=at, &with);
            let _ = parse(&text, now);
        }
    }
}
