//! Translates English texts of other programs, which are recognised by their form.

/// Returns `text` in another language, if a row of `table` has its form. `{}` in a row stands for any text, which is
/// translated too if possible.
pub(super) fn translated(table: &[(&str, &str)], text: &str) -> Option<String> {
    let (holes, to) = table.iter().find_map(|(from, to)| Some((holes(from, text)?, to)))?;
    let mut parts = to.split("{}");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for (part, hole) in parts.zip(holes) {
        // If the hole were all of the text, this would recurse for ever.
        let inner = if hole.len() < text.len() { translated(table, hole) } else { None };
        result.push_str(inner.as_deref().unwrap_or(hole));
        result.push_str(part);
    }
    Some(result)
}

/// Returns the parts of `text` in place of each `{}` of `form`, if it has this form.
fn holes<'a>(form: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = form.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let end = if is_last { rest.strip_suffix(part)?.len() } else { rest.find(part)? };
        let (hole, after) = rest.split_at_checked(end)?;
        found.push(hole);
        rest = if is_last { "" } else { after.get(part.len()..)? };
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&str, &str)] = &[
        ("not reached: {}", "inalcançável: {}"),
        ("Connection refused (os error {})", "conexão recusada"),
        ("a {} has at most {} characters", "um {} tem no máximo {} caracteres"),
        ("user name", "nome de usuário"),
        ("in use", "em uso"),
        ("{}; see --help", "{}; veja --help"),
    ];

    #[test]
    fn texts_are_recognised_by_their_form() {
        for (text, wanted) in [
            ("in use", Some("em uso")),
            ("not reached: Connection refused (os error 111)", Some("inalcançável: conexão recusada")),
            ("not reached: something else", Some("inalcançável: something else")),
            ("a user name has at most 64 characters", Some("um nome de usuário tem no máximo 64 caracteres")),
            ("in use; see --help", Some("em uso; veja --help")),
            ("in use now", None),
            ("", None),
            ("not reached: not reached: in use", Some("inalcançável: inalcançável: em uso")),
        ] {
            assert_eq!(translated(TABLE, text).as_deref(), wanted, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "([a-z{}: ]|not reached: |; see --help){0,40}") {
            let _ = translated(TABLE, &text);
        }
    }
}
