//! Lists of what a client likes, with weights (RFC 9110 §12.4.2, §12.5.1, §12.5.3).

/// Entries of a list that are looked at; browsers send about ten.
const ENTRIES_MAX: usize = 64;
/// What `q=1` is: weights have three decimals.
const WEIGHT_MAX: u16 = 1_000;

/// The entries of a list as (what, weight in thousandths). An entry whose weight cannot be read is skipped.
fn entries(list: &str) -> impl Iterator<Item = (&str, u16)> {
    list.split(',').take(ENTRIES_MAX).filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let what = parts.next().filter(|what| !what.is_empty())?;
        let weight = parts
            .find_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                let is_weight = name.trim().eq_ignore_ascii_case("q");
                is_weight.then_some(value.trim())
            })
            .map_or(Some(WEIGHT_MAX), parse_weight)?;
        Some((what, weight))
    })
}

/// Which of `candidates`, media types in our order of preference, an `Accept` likes best; without one the first. `None`: none is acceptable.
///
/// The most specific range that fits gives a candidate's weight; among equal weights one that was named comes before one that only fits a wildcard.
pub(crate) fn prefers(accept: Option<&str>, candidates: &[&str]) -> Option<usize> {
    let Some(accept) = accept else {
        return (!candidates.is_empty()).then_some(0);
    };
    let mut best: Option<((u16, u8), usize)> = None;
    for (index, candidate) in candidates.iter().enumerate() {
        let fit = entries(accept)
            .filter_map(|(range, weight)| Some((weight, specificity(range, candidate)?)))
            .max_by_key(|(_, specificity)| *specificity);
        if let Some(fit) = fit.filter(|(weight, _)| *weight > 0)
            && best.is_none_or(|(best, _)| fit > best)
        {
            best = Some((fit, index));
        }
    }
    best.map(|(_, index)| index)
}

/// 0 for `*/*`, 1 for `text/*`, 2 for `text/html`; none where the range does not fit.
fn specificity(range: &str, candidate: &str) -> Option<u8> {
    let (kind, _) = candidate.split_once('/')?;
    match range.split_once('/')? {
        ("*", "*") => Some(0),
        (given, "*") if given.eq_ignore_ascii_case(kind) => Some(1),
        _ => range.eq_ignore_ascii_case(candidate).then_some(2),
    }
}

/// How much an `Accept-Encoding` likes `coding`, in thousandths; 0 is not at all. What is not named counts as `*` if that is, else as not liked.
pub(crate) fn coding_weight(accept_encoding: &str, coding: &str) -> u16 {
    let weight_of = |name: &str| {
        entries(accept_encoding)
            .find_map(|(given, weight)| given.eq_ignore_ascii_case(name).then_some(weight))
    };
    weight_of(coding).or_else(|| weight_of("*")).unwrap_or(0)
}

/// `0`, `1`, `0.5`, `0.123`, `1.000` in thousandths.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = decimals
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(3)
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(WEIGHT_MAX),
        _ => None,
    }
}
