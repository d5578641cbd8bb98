//! Warnings and remarks of a query. Their texts and places are part of the contract with users' tools.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::ast::Span;

/// More texts than this are dropped: a broken query over many metrics must not fill the answer.
const MAX_NOTES: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Notes {
    warnings: RefCell<BTreeSet<String>>,
    infos: RefCell<BTreeSet<String>>,
}

impl Notes {
    pub fn warn(&self, span: Span, text: &str) {
        push(
            &self.warnings,
            format!("PromQL warning: {text} ({}:{})", span.line, span.column),
        );
    }

    pub fn info(&self, span: Span, text: &str) {
        push(
            &self.infos,
            format!("PromQL info: {text} ({}:{})", span.line, span.column),
        );
    }

    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().iter().cloned().collect()
    }

    pub fn infos(&self) -> Vec<String> {
        self.infos.borrow().iter().cloned().collect()
    }

    /// Checks a φ; outside 0…1 the result is infinite.
    pub fn check_quantile(&self, span: Span, phi: f64) {
        if !(0.0..=1.0).contains(&phi) {
            let shown = crate::format_value(phi);
            self.warn(
                span,
                &format!("quantile value should be between 0 and 1, got {shown}"),
            );
        }
    }
}

fn push(set: &RefCell<BTreeSet<String>>, text: String) {
    let mut set = set.borrow_mut();
    if set.len() < MAX_NOTES {
        set.insert(text);
    }
}
