//! Files that lie compressed beside the file: `app.js.br` for `app.js`.

use crate::preference::coding_weight;

/// A content coding (RFC 9110 §8.4.1) and how the name of such a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coding {
    pub(crate) name: &'static str,
    pub(crate) suffix: &'static str,
}

/// In our order: the smallest result first.
const CODINGS: [Coding; 3] = [
    Coding {
        name: "br",
        suffix: ".br",
    },
    Coding {
        name: "zstd",
        suffix: ".zst",
    },
    Coding {
        name: "gzip",
        suffix: ".gz",
    },
];

/// The codings to look for, the one that the client likes best first; none that it likes less than the file as it is.
///
/// Nobody is refused: who forbids every coding that there is gets the file as it is (§12.5.3 allows it).
pub(crate) fn wanted(accept_encoding: Option<&str>) -> Vec<Coding> {
    let Some(accepted) = accept_encoding else {
        return Vec::new();
    };
    let plain = coding_weight(accepted, "identity");
    let mut wanted: Vec<(u16, Coding)> = CODINGS
        .into_iter()
        .map(|coding| (weight(accepted, coding), coding))
        .filter(|(weight, _)| *weight > 0 && *weight >= plain)
        .collect();
    // A stable sort: among equals our order stays.
    wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    wanted.into_iter().map(|(_, coding)| coding).collect()
}

fn weight(accepted: &str, coding: Coding) -> u16 {
    let weight = coding_weight(accepted, coding.name);
    if coding.name == "gzip" {
        // The name of HTTP/1.0 (§8.4.1.3).
        weight.max(coding_weight(accepted, "x-gzip"))
    } else {
        weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(accepted: &str) -> Vec<&'static str> {
        wanted(Some(accepted))
            .into_iter()
            .map(|coding| coding.name)
            .collect()
    }

    #[test]
    fn weights_come_first_and_our_order_second() {
        assert_eq!(names("gzip, deflate, br, zstd"), ["br", "zstd", "gzip"]);
        assert_eq!(names("gzip;q=1.0, br;q=0.5"), ["gzip", "br"]);
        assert_eq!(names("*"), ["br", "zstd", "gzip"]);
        assert_eq!(names("*, br;q=0"), ["zstd", "gzip"]);
        assert_eq!(names("br;q=0.4, identity;q=0.5"), [""; 0]);
        assert_eq!(names("br;q=0.5;x=y, GZIP;Q=0.6"), ["gzip", "br"]);
        assert_eq!(names("x-gzip"), ["gzip"]);
        assert_eq!(names("br;q=2, gzip;q=nonsense"), [""; 0]);
        assert_eq!(names(""), [""; 0]);
        assert_eq!(wanted(None), []);
    }
}
