//! Every path that a file names, written out in full: imports, types, calls, macros, derives. It judges none.
use std::{collections::HashMap, str::FromStr as _};

use proc_macro2::{Delimiter, LexError, Spacing, TokenStream, TokenTree};

/// A path and where it stands.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Used {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

/// All paths of more than one part, imports and macros in a file of the module `module`; code that is compiled for
/// tests only is left out. It reads tokens, not a syntax tree: a path is a path wherever it stands, also in what macros
/// and derives are given.
pub(crate) fn used(text: &str, module: &[&str]) -> Result<Vec<Used>, LexError> {
    let tokens: Vec<TokenTree> = TokenStream::from_str(text)?.into_iter().collect();
    let module: Vec<String> = module.iter().map(|&part| part.to_owned()).collect();
    let mut imports = Walk { module: module.clone(), imports: HashMap::new(), found: Vec::new() };
    imports.walk(&tokens);
    // Once more, because imports can stand below what uses them.
    let mut paths = Walk { module, imports: imports.imports, found: Vec::new() };
    paths.walk(&tokens);
    Ok(paths.found)
}

struct Walk {
    /// Where the walk is.
    module: Vec<String>,
    /// What an imported name stands for.
    imports: HashMap<String, Vec<String>>,
    found: Vec<Used>,
}

impl Walk {
    fn walk(&mut self, mut rest: &[TokenTree]) {
        while let Some(token) = rest.first() {
            let taken = match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' && is_test_only(rest) => item_length(rest),
                TokenTree::Ident(ident)
                    if ident == "use" && !matches!(rest.get(1), Some(next) if is(next, '<')) =>
                {
                    let length = rest.iter().position(|token| is(token, ';')).unwrap_or(rest.len());
                    self.import(&rest[1..length], Vec::new());
                    length
                }
                TokenTree::Ident(ident) if ident == "mod" => self.module(rest),
                TokenTree::Ident(_) => self.path(rest),
                TokenTree::Group(group) => {
                    self.walk(&group.stream().into_iter().collect::<Vec<_>>());
                    1
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
            };
            rest = &rest[taken.clamp(1, rest.len())..];
        }
    }

    /// `mod name { … }`, of which the name counts for `super` inside.
    fn module(&mut self, tokens: &[TokenTree]) -> usize {
        let [_, TokenTree::Ident(name), TokenTree::Group(body), ..] = tokens else { return 1 };
        self.module.push(name.to_string());
        self.walk(&body.stream().into_iter().collect::<Vec<_>>());
        self.module.pop();
        3
    }

    /// `a::b::c` or `a!`. A single name is most often a variable, and says nothing.
    fn path(&mut self, tokens: &[TokenTree]) -> usize {
        let (path, length) = path(tokens);
        let is_macro = tokens.get(length).is_some_and(|token| is(token, '!'));
        if path.len() > 1 || is_macro {
            self.found(&tokens[0], path);
        }
        length
    }

    /// One tree of a `use`: `a::b`, `a::b as c`, `a::{…}`, `a::*`.
    fn import(&mut self, tokens: &[TokenTree], prefix: Vec<String>) {
        let tokens = if is_separator(tokens) { &tokens[2..] } else { tokens };
        let (path, length) = path(tokens);
        let whole = [prefix, path].concat();
        let rest = &tokens[length..];
        let rest = if is_separator(rest) { &rest[2..] } else { rest };
        match rest {
            [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => {
                let trees: Vec<TokenTree> = group.stream().into_iter().collect();
                for tree in trees.split(|token| is(token, ',')).filter(|tree| !tree.is_empty()) {
                    self.import(tree, whole.clone());
                }
            }
            [TokenTree::Ident(renamed), TokenTree::Ident(alias), ..] if renamed == "as" => {
                self.imported(&tokens[0], whole, Some(alias.to_string()));
            }
            _ => {
                if let Some(token) = tokens.first() {
                    self.imported(token, whole, None);
                }
            }
        }
    }

    fn imported(&mut self, token: &TokenTree, mut path: Vec<String>, alias: Option<String>) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(alias) = alias.or_else(|| path.last().cloned()) {
            let meaning = self.in_full(path.clone());
            self.imports.insert(alias, meaning);
        }
        self.found(token, path);
    }

    fn found(&mut self, token: &TokenTree, path: Vec<String>) {
        let path = self.in_full(path);
        self.found.push(Used { line: token.span().start().line, path });
    }

    /// Replaces a relative or imported beginning by what it stands for.
    fn in_full(&self, path: Vec<String>) -> Vec<String> {
        let (base, rest) = match path.first().map(String::as_str) {
            Some("self") => (crate_path(&self.module), &path[1..]),
            Some("super") => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                (crate_path(&self.module[..self.module.len().saturating_sub(ups)]), &path[ups..])
            }
            // The binary names its library so.
            Some("mtlsnoop") => (vec!["crate".to_owned()], &path[1..]),
            Some("core" | "alloc") => (vec!["std".to_owned()], &path[1..]),
            Some(name) => match self.imports.get(name) {
                Some(meaning) => (meaning.clone(), &path[1..]),
                None => return path,
            },
            None => return path,
        };
        [base, rest.to_vec()].concat()
    }
}

/// The path that the tokens begin with, and how many tokens it takes.
fn path(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut length = 0;
    while let Some(TokenTree::Ident(ident)) = tokens.get(length) {
        path.push(ident.to_string());
        length += 1;
        match &tokens[length..] {
            [_, _, TokenTree::Ident(_), ..] if is_separator(&tokens[length..]) => length += 2,
            _ => break,
        }
    }
    (path, length)
}

/// `::`
fn is_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(first), second, ..]
        if first.as_char() == ':' && first.spacing() == Spacing::Joint && is(second, ':'))
}

fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// `#[cfg(test)]`, and no other condition.
fn is_test_only(tokens: &[TokenTree]) -> bool {
    matches!(tokens.get(1), Some(TokenTree::Group(attribute))
        if attribute.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// From an attribute to the end of the item that it stands on: a body, or a semicolon.
fn item_length(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| {
        is(token, ';') || matches!(token, TokenTree::Group(body) if body.delimiter() == Delimiter::Brace)
    };
    tokens.iter().position(ends).map_or(tokens.len(), |last| last + 1)
}

fn crate_path(module: &[String]) -> Vec<String> {
    [&["crate".to_owned()], module].concat()
}

#[cfg(test)]
mod tests {
    use super::used;

    /// Every path of a file in `flow::join`.
    fn paths(text: &str) -> Vec<String> {
        let used = used(text, &["flow", "join"]).unwrap();
        used.into_iter().map(|used| used.path.join("::")).collect()
    }

    #[test]
    fn paths_are_found_wherever_they_stand_and_are_written_out() {
        let cases: [(&str, &[&str]); 19] = [
            ("use std::{fs, net::{self, TcpStream as T}};", &["std::fs", "std::net", "std::net::TcpStream"]),
            ("use tokio::sync::*;", &["tokio::sync"]),
            ("pub use ::serde;", &["serde"]),
            (
                "use super::other::A; fn f() { A::new() }",
                &["crate::flow::other::A", "crate::flow::other::A::new"],
            ),
            ("use super::super::sink::B;", &["crate::sink::B"]),
            ("use self::part::C;", &["crate::flow::join::part::C"]),
            ("use core::time;", &["std::time"]),
            ("fn f() { g(mtlsnoop::sink::D); }", &["crate::sink::D"]),
            ("fn f() { time::Instant::now(); } use std::time;", &["std::time::Instant::now", "std::time"]),
            ("fn f() { t::Instant::now(); } use std::time as t;", &["std::time::Instant::now", "std::time"]),
            ("fn f(_: Vec<std::fs::File>, log: ::std::io::Error) {}", &["std::fs::File", "std::io::Error"]),
            ("fn f() -> impl Iterator + use<'a> { a.map(u8::from) }", &["u8::from"]),
            ("fn f() { println!(\"{}\", std::env::var(\"A\")); }", &["println", "std::env::var"]),
            ("fn f(log: u8) { log; b.log(); log::info!(\"a\"); }", &["log::info"]),
            ("#[derive(Debug, serde::Serialize)] struct S;", &["serde::Serialize"]),
            ("#[cfg(test)] mod tests { use std::fs; } use std::io;", &["std::io"]),
            ("#[cfg(test)]\n#[path = \"a\"] mod tests; use std::io;", &["std::io"]),
            ("#[cfg(not(test))] use std::fs;", &["std::fs"]),
            ("mod inner { use super::super::E; }", &["crate::flow::E"]),
        ];
        for (text, expected) in cases {
            assert_eq!(paths(text), expected, "{text}");
        }
    }

    #[test]
    fn each_path_has_its_line() {
        let used = used("\n\nuse std::fs;\nfn f() {\n    log::info!(a::b);\n}\n", &[]).unwrap();
        let lines: Vec<usize> = used.iter().map(|used| used.line).collect();
        assert_eq!(lines, [3, 5, 5]);
    }

    #[test]
    fn an_unbalanced_file_is_an_error() {
        assert!(used("fn f( {", &[]).is_err());
    }
}
