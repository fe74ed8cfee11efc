//! "Did you mean": the known word that is nearest to an unknown one.

/// The nearest of `known`, when it is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > LONGEST_WORD {
        return None;
    }
    let near_enough = (length / 3).max(1);
    let word = word.to_lowercase();
    let length = word.chars().count();
    known
        // The distance is at least the difference in length, and costs far more to find.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= near_enough)
        .map(|candidate| (distance(&word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= near_enough)
        .map(|(_, candidate)| candidate)
}

/// No option is longer; comparing costs the product of the lengths.
const LONGEST_WORD: usize = 60;

/// How many characters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_its_word() {
        let known = ["allow_anonymous", "listener", "log_dest", "log_type"];
        for (word, meant) in [
            ("allow_anonymus", Some("allow_anonymous")),
            ("allow_annoymous", Some("allow_anonymous")),
            ("Listener", Some("listener")),
            ("log_tpye", Some("log_type")),
            ("log", None),
            ("lstnr", None),
            ("log_destx", Some("log_dest")),
            ("og_dst", Some("log_dest")),
            ("daemon", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known.into_iter()), None);
    }
}
