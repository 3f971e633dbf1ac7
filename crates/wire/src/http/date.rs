//! The dates of HTTP, both ways (RFC 9110 §5.6.7). What time it is comes from the caller.

const DAY_NAMES: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTH_NAMES: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY_S: u64 = 86_400;
/// The last second of the year 9999, which is the last one the format can write.
const UNIX_S_MAX: u64 = 253_402_300_799;

/// The IMF-fixdate of `unix_s`, seconds since 1970, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
pub fn imf_fixdate(unix_s: u64) -> String {
    let unix_s = unix_s.min(UNIX_S_MAX);
    let (days, second) = (unix_s / DAY_S, unix_s % DAY_S);
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAY_NAMES[(days % 7) as usize],
        MONTH_NAMES[month],
        second / 3_600,
        second / 60 % 60,
        second % 60,
    )
}

/// Year, month from 0 and day from 1 of a day since 1970-01-01.
///
/// Years are counted from March, which puts the leap day at a year's end: then a month's first day is a linear function of its number.
fn civil(days: u64) -> (u64, usize, u64) {
    let days = days + 719_468; // since 0000-03-01
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = year_of_era + era * 400 + u64::from(month < 2);
    (year, month as usize, day)
}

/// Seconds since 1970 of an HTTP date in any of its three formats: IMF-fixdate, RFC 850 with its two-digit year, and asctime.
///
/// A date before 1970 is 0, and the day's name is not compared with the date. A two-digit year that would lie more than 50 years after `now_unix_s`
/// is one of the century before. `None`: it is no HTTP date, and the field that holds it is as good as absent.
///
/// ```
/// use taut_wire::http::date::parse;
///
/// assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT", 0), Some(784_111_777));
/// assert_eq!(parse("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777), Some(784_111_777));
/// assert_eq!(parse("Sun Nov  6 08:49:37 1994", 0), Some(784_111_777));
/// assert_eq!(parse("yesterday", 0), None);
/// ```
pub fn parse(text: &str, now_unix_s: u64) -> Option<u64> {
    let (day_name, rest) = text.split_once(' ')?;
    match day_name.strip_suffix(',') {
        Some(short) if DAY_NAMES.contains(&short) => parse_imf(rest),
        Some(long) if is_long_day_name(long) => parse_rfc850(rest, now_unix_s),
        None if DAY_NAMES.contains(&day_name) => parse_asctime(rest),
        _ => None,
    }
}

/// `06 Nov 1994 08:49:37 GMT`
fn parse_imf(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix(" GMT")?.split_at_checked(12)?;
    let (day, month_and_year) = date.split_at_checked(2)?;
    let (month, year) = month_and_year.strip_prefix(' ')?.split_at_checked(3)?;
    let year = number(year.strip_prefix(' ')?.strip_suffix(' ')?, 4)?;
    unix_s(year, month_number(month)?, number(day, 2)?, time)
}

/// `06-Nov-94 08:49:37 GMT`
fn parse_rfc850(text: &str, now_unix_s: u64) -> Option<u64> {
    let (date, time) = text.strip_suffix(" GMT")?.split_once(' ')?;
    let (day, rest) = date.split_once('-')?;
    let (month, year) = rest.split_once('-')?;
    let (this_year, _, _) = civil(now_unix_s.min(UNIX_S_MAX) / DAY_S);
    let mut year = this_year / 100 * 100 + number(year, 2)?;
    if year > this_year + 50 {
        year -= 100;
    } else if year + 50 <= this_year {
        // As near: `01` said in 1999 is 2001, which is not more than 50 years away.
        year += 100;
    }
    unix_s(year, month_number(month)?, number(day, 2)?, time)
}

/// `Nov  6 08:49:37 1994`
fn parse_asctime(text: &str) -> Option<u64> {
    let (month, rest) = text.split_once(' ')?;
    let (day, rest) = rest.split_at_checked(2)?;
    let day = match day.strip_prefix(' ') {
        Some(digit) => number(digit, 1)?,
        None => number(day, 2)?,
    };
    let (time, year) = rest.strip_prefix(' ')?.split_once(' ')?;
    unix_s(number(year, 4)?, month_number(month)?, day, time)
}

fn is_long_day_name(name: &str) -> bool {
    [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ]
    .contains(&name)
}

/// Month from 0.
fn month_number(name: &str) -> Option<u64> {
    (0..)
        .zip(MONTH_NAMES)
        .find_map(|(number, known)| (known == name).then_some(number))
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Month from 0, day from 1, time as `08:49:37`. A leap second counts as the first one after it.
fn unix_s(year: u64, month: u64, day: u64, time: &str) -> Option<u64> {
    let (hour, rest) = time.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    let fits = (1..=month_days(year, month)).contains(&day);
    if !fits || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let Some(days) = days_since_1970(year, month, day) else {
        return Some(0);
    };
    Some(days * DAY_S + hour * 3_600 + minute * 60 + second)
}

fn month_days(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 if is_leap => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// The way back from [`civil`]; `None` before 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years from March, as in `civil`; 400 more, so that January of the year 0 is not negative.
    let year = year + 400 - u64::from(month < 2);
    let march_month = (month + 10) % 12;
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468 + 146_097)
}
