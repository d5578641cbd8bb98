//! Finds texts that every match of a regular expression must hold, so that filters can rule blocks out.
use crate::trigram::fold;
use regex_syntax::hir::{Hir, HirKind};

/// Folded texts of at least three bytes, each of which every match holds. May be empty.
pub(super) fn required(pattern: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(hir) = regex_syntax::parse(pattern) {
        collect(&hir, &mut found);
    }
    found
}

fn collect(hir: &Hir, found: &mut Vec<String>) {
    match hir.kind() {
        HirKind::Literal(literal) => {
            if let Ok(text) = std::str::from_utf8(&literal.0)
                && text.len() >= 3
            {
                found.push(fold(text));
            }
        }
        HirKind::Capture(capture) => collect(&capture.sub, found),
        HirKind::Concat(parts) => parts.iter().for_each(|part| collect(part, found)),
        HirKind::Repetition(repetition) if repetition.min > 0 => collect(&repetition.sub, found),
        HirKind::Repetition(_)
        | HirKind::Alternation(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Empty => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_of_every_match_are_required() {
        assert_eq!(required("connection (refused|reset)"), ["connection "]);
        assert_eq!(required("(Foo)+ba?r.*quux"), ["foo", "quux"]);
        assert_eq!(required("(?i)error"), Vec::<String>::new());
        assert_eq!(required("(abc)?d|e"), Vec::<String>::new());
        assert_eq!(required("("), Vec::<String>::new());
    }
}
