use super::Request;

/// Media ranges of an Accept that are looked at; browsers send about ten.
const RANGES_MAX: usize = 64;
/// What `q=1` is: weights have three decimals (RFC 9110 §12.4.2).
const WEIGHT_MAX: u16 = 1_000;

/// Which of `candidates` (media types like `text/html`, in our order of preference) the request's Accept likes best (RFC 9110 §12.5.1).
///
/// The most specific range that fits a candidate gives its weight; among equal weights one that was named comes before one that only fits a
/// wildcard, and then the earlier candidate. Without an Accept it is the first. `None`: none is acceptable.
///
/// A range that cannot be read is skipped: a wrong preference is no reason to refuse a request.
pub fn accepts(request: &Request<'_>, candidates: &[&str]) -> Option<usize> {
    if request.headers.first("accept").is_none() {
        return (!candidates.is_empty()).then_some(0);
    }
    let mut best: Option<(Fit, usize)> = None;
    for (index, candidate) in candidates.iter().enumerate() {
        let fit = request
            .headers
            .all("accept")
            .flat_map(|value| value.split(','))
            .take(RANGES_MAX)
            .filter_map(|range| Fit::of(range, candidate))
            .max_by_key(|fit| fit.specificity);
        if let Some(fit) = fit.filter(|fit| fit.weight > 0)
            && best.is_none_or(|(best, _)| fit > best)
        {
            best = Some((fit, index));
        }
    }
    best.map(|(_, index)| index)
}

/// How well a range fits; ordered by weight, then by how exactly the candidate was meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    weight: u16,
    /// 0 for `*/*`, 1 for `text/*`, 2 for `text/html`.
    specificity: u8,
}

impl Fit {
    fn of(range: &str, candidate: &str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        let (kind, subkind) = parts.next()?.split_once('/')?;
        let (wanted_kind, wanted_subkind) = candidate.split_once('/')?;
        let specificity = match (kind, subkind) {
            ("*", "*") => 0,
            (_, "*") if kind.eq_ignore_ascii_case(wanted_kind) => 1,
            _ if kind.eq_ignore_ascii_case(wanted_kind)
                && subkind.eq_ignore_ascii_case(wanted_subkind) =>
            {
                2
            }
            _ => return None,
        };
        let weight = parts
            .find_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case("q")
                    .then_some(value.trim())
            })
            .map_or(Some(WEIGHT_MAX), parse_weight)?;
        Some(Self {
            weight,
            specificity,
        })
    }
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
