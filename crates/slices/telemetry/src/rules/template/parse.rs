//! From words to the tree: blocks, pipelines and terms, as Go's `text/template` reads them.

mod pipe;

use std::collections::BTreeMap;

use super::Fault;
use super::lex::{Token, tokens};
use super::tree::{At, Branch, Node};

/// How deep blocks and parentheses may be nested.
const MAX_DEPTH: usize = 50;

/// A template and those that it defines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parsed {
    pub body: Vec<Node>,
    pub defined: BTreeMap<String, Vec<Node>>,
}

/// Variables that every rule has.
pub(super) const VARIABLES: [&str; 5] = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

pub(super) fn parse(text: &str) -> Result<Parsed, Fault> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.len() as At,
        variables: VARIABLES.iter().map(ToString::to_string).collect(),
        defined: BTreeMap::new(),
        depth: 0,
        loops: 0,
        used: Vec::new(),
    };
    let (body, end) = parser.list()?;
    if let Some((at, word)) = end {
        return Err(Fault::new(
            at,
            format!("{{{{ {word} }}}} without a block that it ends"),
        ));
    }
    for (at, name) in &parser.used {
        if !parser.defined.contains_key(name) {
            return Err(Fault::new(*at, format!("no template {name:?} is defined")));
        }
    }
    Ok(Parsed {
        body,
        defined: parser.defined,
    })
}

/// The word that ended a list of nodes, with its place.
type End = Option<(At, &'static str)>;

struct Parser {
    tokens: Vec<(At, Token)>,
    next: usize,
    end: At,
    variables: Vec<String>,
    defined: BTreeMap<String, Vec<Node>>,
    depth: usize,
    loops: usize,
    used: Vec<(At, String)>,
}

impl Parser {
    fn at(&self) -> At {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.next += 1;
        }
    }

    /// Goes on when `token` stands here, spaces aside.
    fn passes(&mut self, token: &Token) -> bool {
        self.skip_space();
        let is_here = self.peek() == Some(token);
        self.next += usize::from(is_here);
        is_here
    }

    fn expect(&mut self, token: &Token, place: &str) -> Result<(), Fault> {
        if self.passes(token) {
            return Ok(());
        }
        Err(self.unexpected(place))
    }

    fn unexpected(&self, place: &str) -> Fault {
        let found = self.peek().map_or("the end".to_owned(), Token::describe);
        Fault::new(self.at(), format!("unexpected {found} in {place}"))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::new(self.at(), format!("nested deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Nodes up to `{{ end }}`, `{{ else … }}` (whose word is taken, not what follows it) or the end of the text.
    fn list(&mut self) -> Result<(Vec<Node>, End), Fault> {
        let mut nodes = Vec::new();
        loop {
            let at = self.at();
            match self.take() {
                None => return Ok((nodes, None)),
                Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                Some(Token::Left) => {
                    self.skip_space();
                    let word = match self.peek() {
                        Some(Token::Word(word)) => word.clone(),
                        _ => String::new(),
                    };
                    match word.as_str() {
                        "end" | "else" => {
                            self.next += 1;
                            let word = if word == "end" { "end" } else { "else" };
                            return Ok((nodes, Some((at, word))));
                        }
                        _ => nodes.extend(self.action(&word, at)?),
                    }
                }
                Some(_) => return Err(self.unexpected("the text")),
            }
        }
    }

    /// What follows `{{`; `define` gives no node.
    fn action(&mut self, word: &str, at: At) -> Result<Option<Node>, Fault> {
        let is_keyword = matches!(
            word,
            "if" | "with" | "range" | "template" | "define" | "block" | "break" | "continue"
        );
        self.next += usize::from(is_keyword);
        Ok(Some(match word {
            "if" | "with" | "range" => self.deeper(|p| p.branch(word, at))?,
            "template" => self.template(at)?,
            "define" => {
                self.deeper(|p| p.define(at))?;
                return Ok(None);
            }
            "block" => self.deeper(|p| p.block(at))?,
            "break" | "continue" => {
                self.expect(&Token::Right, word)?;
                if self.loops == 0 {
                    return Err(Fault::new(
                        at,
                        format!("{{{{ {word} }}}} outside of {{{{ range }}}}"),
                    ));
                }
                if word == "break" {
                    Node::Break
                } else {
                    Node::Continue
                }
            }
            _ => {
                let pipe = self.pipe("an action", at)?;
                self.expect(&Token::Right, "an action")?;
                Node::Action(pipe)
            }
        }))
    }

    fn branch(&mut self, word: &str, at: At) -> Result<Node, Fault> {
        let known = self.variables.len();
        let pipe = self.pipe(word, at)?;
        self.expect(&Token::Right, word)?;
        self.loops += usize::from(word == "range");
        let (body, end) = self.list()?;
        self.loops -= usize::from(word == "range");
        let other = match end {
            None => return Err(Fault::new(at, format!("{{{{ {word} }}}} has no {{{{ end }}}}"))),
            Some((_, "end")) => {
                self.expect(&Token::Right, "{{ end }}")?;
                Vec::new()
            }
            Some((place, _)) => self.otherwise(word, at, place)?,
        };
        self.variables.truncate(known);
        let branch = Branch { pipe, body, other };
        Ok(match word {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    /// After `else`: a list, or another `if` or `with` that shares the `end`.
    fn otherwise(&mut self, word: &str, at: At, place: At) -> Result<Vec<Node>, Fault> {
        self.skip_space();
        let is_chain = matches!(self.peek(), Some(Token::Word(next)) if next == word && word != "range");
        if is_chain {
            self.next += 1;
            return Ok(vec![self.deeper(|p| p.branch(word, place))?]);
        }
        self.expect(&Token::Right, "{{ else }}")?;
        let (nodes, end) = self.list()?;
        match end {
            Some((_, "end")) => {
                self.expect(&Token::Right, "{{ end }}")?;
                Ok(nodes)
            }
            Some((second, _)) => Err(Fault::new(second, "a second {{ else }}")),
            None => Err(Fault::new(at, format!("{{{{ {word} }}}} has no {{{{ end }}}}"))),
        }
    }

    fn quoted_name(&mut self, place: &str) -> Result<String, Fault> {
        self.skip_space();
        match self.peek() {
            Some(Token::Quoted(name)) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected(place)),
        }
    }

    fn template(&mut self, at: At) -> Result<Node, Fault> {
        let name = self.quoted_name("{{ template }}, which needs a name in quotes")?;
        self.used.push((at, name.clone()));
        self.skip_space();
        let with = match self.peek() {
            Some(Token::Right) => None,
            _ => Some(self.pipe("{{ template }}", at)?),
        };
        self.expect(&Token::Right, "{{ template }}")?;
        Ok(Node::Template { at, name, with })
    }

    fn define(&mut self, at: At) -> Result<(), Fault> {
        let name = self.quoted_name("{{ define }}, which needs a name in quotes")?;
        self.expect(&Token::Right, "{{ define }}")?;
        self.definition(name, at, "define")
    }

    /// `define` and `template` in one.
    fn block(&mut self, at: At) -> Result<Node, Fault> {
        let name = self.quoted_name("{{ block }}, which needs a name in quotes")?;
        let with = Some(self.pipe("{{ block }}", at)?);
        self.expect(&Token::Right, "{{ block }}")?;
        self.definition(name.clone(), at, "block")?;
        Ok(Node::Template { at, name, with })
    }

    /// A template of its own sees no variable of the one around it.
    fn definition(&mut self, name: String, at: At, word: &str) -> Result<(), Fault> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, end) = self.list()?;
        (self.variables, self.loops) = (outer, loops);
        match end {
            Some((_, "end")) => self.expect(&Token::Right, "{{ end }}")?,
            Some((place, _)) => return Err(Fault::new(place, format!("{{{{ else }}}} in {{{{ {word} }}}}"))),
            None => return Err(Fault::new(at, format!("{{{{ {word} }}}} has no {{{{ end }}}}"))),
        }
        self.defined.insert(name, body);
        Ok(())
    }
}
