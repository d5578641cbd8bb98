//! What a template says, as a tree.

/// Byte offset in the template's text.
pub(super) type At = u32;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
    Template {
        at: At,
        name: String,
        with: Option<Pipe>,
    },
}

/// `if`, `with` and `range`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    pub pipe: Pipe,
    pub body: Vec<Node>,
    pub other: Vec<Node>,
}

/// `$x, $y := command | command`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipe {
    pub at: At,
    pub variables: Vec<String>,
    /// `=`: the variable is there already.
    pub is_assignment: bool,
    pub commands: Vec<Command>,
}

/// A value or a function with its arguments. Invariant: never empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub first: Term,
    pub rest: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub at: At,
    pub kind: TermKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TermKind {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// `.a.b`
    Fields(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    Function(&'static str),
    Pipe(Box<Pipe>),
    /// `(…).a.b`
    Chain(Box<Term>, Vec<String>),
}

impl TermKind {
    /// May it stand after a `|`, where a value comes in?
    pub(super) fn takes_value(&self) -> bool {
        !matches!(
            self,
            Self::Dot | Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_)
        )
    }
}
