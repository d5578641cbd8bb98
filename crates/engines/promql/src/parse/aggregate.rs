//! Aggregations: `sum by (job) (x)`, `topk(3, x) without (pod)`.

use crate::ast::{Aggregate, AggregateOp, Expr, ExprKind, Grouping};
use crate::parse::error::ParseError;
use crate::parse::lexer::Tok;
use crate::parse::{Parsed, Parser, is_grouping};

impl Parser {
    pub(super) fn aggregate(&mut self, op: AggregateOp) -> Parsed<Expr> {
        let span = self.advance().span;
        let mut grouping = self.grouping()?;
        let open = self.expect("(", "after the grouping")?;
        let mut args = self.arguments("in the aggregation")?;
        let place = open.to(self.last_span());
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wanted = if op.takes_param() { 2 } else { 1 };
        let name = op.name();
        if args.len() != wanted {
            let message = format!("{name} takes {wanted} argument(s), this one has {}", args.len());
            let shape = if op.takes_param() {
                "parameter, vector"
            } else {
                "vector"
            };
            return Err(ParseError::new(place, message).help(format!("write {name}({shape})")));
        }
        let Some(expr) = args.pop() else {
            return Err(ParseError::new(place, "nothing to aggregate"));
        };
        let aggregate = Aggregate {
            op,
            grouping,
            param: args.pop(),
            expr,
        };
        Ok(Expr {
            kind: ExprKind::Aggregate(Box::new(aggregate)),
            span: span.to(self.last_span()),
        })
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let Tok::Ident(word) = self.peek() else {
            return Ok(None);
        };
        if !is_grouping(word) {
            return Ok(None);
        }
        let without = word.eq_ignore_ascii_case("without");
        self.advance();
        Ok(Some(Grouping {
            without,
            labels: self.label_list()?,
        }))
    }

    /// `(a, b)`, `()`, with a comma allowed at the end.
    pub(super) fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect("(", "before the labels")?;
        let mut labels = Vec::new();
        loop {
            if self.eat(")") {
                return Ok(labels);
            }
            match self.peek().clone() {
                Tok::Ident(name) if !name.contains(':') => labels.push(name),
                Tok::Text(name) if !name.is_empty() => labels.push(name),
                _ => return Err(self.unexpected("in the labels", "a label name or \")\"")),
            }
            self.advance();
            if !self.is_sym(")") && !self.eat(",") {
                return Err(self.unexpected("in the labels", "\",\" or \")\""));
            }
        }
    }
}
