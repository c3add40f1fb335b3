//! Finds the command that a misspelt word means.

use crate::client::command::COMMANDS;
use crate::client::locale::all_names;

/// Returns the command that a misspelt `word` means: at most two mistakes, and fewer than half of its letters.
pub(in crate::client) fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let names = COMMANDS.iter().flat_map(|spec| all_names(spec.command)).filter(|name| name.len() > 2);
    let (mistakes, name) = names.map(|name| (mistakes(&word, name), name)).min_by_key(|(mistakes, _)| *mistakes)?;
    (mistakes <= 2 && mistakes * 2 < name.len()).then_some(name)
}

/// Returns how many letters are wrong, missing, too many or swapped with their neighbour.
fn mistakes(typed: &str, meant: &str) -> usize {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().collect(), meant.chars().collect());
    // The rows of the table of distances between all beginnings of both words.
    let mut rows: Vec<Vec<usize>> = vec![(0..=meant.len()).collect()];
    for i in 0..typed.len() {
        let mut row = vec![i + 1];
        for j in 0..meant.len() {
            let wrong = usize::from(typed[i] != meant[j]);
            let mut least = (rows[i][j] + wrong).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && typed[i] == meant[j - 1] && typed[i - 1] == meant[j] {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[typed.len()][meant.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_find_their_command() {
        for (typed, meant) in [
            ("jion", Some("join")),
            ("joni", Some("join")),
            ("crate", Some("create")),
            ("hstory", Some("history")),
            ("hlep", Some("help")),
            ("whomai", Some("whoami")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
    }
}
