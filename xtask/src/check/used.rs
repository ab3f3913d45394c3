//! Every path that a file names, written out in full: imports, types, calls, macros, derives. It judges none.
use std::collections::HashMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ItemMod, ItemUse, Macro, Meta, UseTree,
    spanned::Spanned as _,
    visit::{self, Visit},
};

/// A path and where it stands.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Used {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

/// All paths in a file of the module `module`; code that is compiled for tests only is left out.
pub(crate) fn used(text: &str, module: &[&str]) -> syn::Result<Vec<Used>> {
    let file = syn::parse_file(text)?;
    let module: Vec<String> = module.iter().map(|&part| part.to_owned()).collect();
    let mut imports =
        Walk { module: module.clone(), imports: HashMap::new(), found: Vec::new(), reads_imports: true };
    imports.visit_file(&file);
    let mut paths = Walk { module, imports: imports.imports, found: Vec::new(), reads_imports: false };
    paths.visit_file(&file);
    Ok(paths.found)
}

struct Walk {
    /// Where the walk is.
    module: Vec<String>,
    /// What an imported name stands for.
    imports: HashMap<String, Vec<String>>,
    found: Vec<Used>,
    /// The first walk only reads the imports, which may stand below what uses them.
    reads_imports: bool,
}

impl Walk {
    fn found(&mut self, line: usize, path: Vec<String>) {
        let path = self.in_full(path);
        if !self.reads_imports && !path.is_empty() {
            self.found.push(Used { line, path });
        }
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
                Some(meaning) if meaning.first().is_none_or(|first| first != name) => {
                    return [meaning, &path[1..]].concat();
                }
                _ => return path,
            },
            None => return path,
        };
        [base, rest.to_vec()].concat()
    }

    fn import(&mut self, tree: &UseTree, mut prefix: Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(&path.tree, prefix);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix.clone());
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                let alias = prefix.last().cloned().unwrap_or_default();
                self.imported(tree, prefix, &alias);
            }
            UseTree::Name(name) => {
                prefix.push(name.ident.to_string());
                self.imported(tree, prefix, &name.ident.to_string());
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    prefix.push(rename.ident.to_string());
                }
                self.imported(tree, prefix, &rename.rename.to_string());
            }
            UseTree::Glob(_) => self.found(tree.span().start().line, prefix),
        }
    }

    fn imported(&mut self, tree: &UseTree, path: Vec<String>, alias: &str) {
        if self.reads_imports {
            let path = self.in_full(path);
            self.imports.insert(alias.to_owned(), path);
        } else {
            self.found(tree.span().start().line, path);
        }
    }

    /// Paths in tokens that are not parsed further: macro arguments and derives.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons < 2 {
                        self.found(line, std::mem::take(&mut path));
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.found(line, std::mem::take(&mut path));
                    colons = 0;
                    self.scan(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.found(line, std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.found(line, path);
    }
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !attributes(item).iter().any(is_test_only) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, Vec::new());
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.found(path.span().start().line, parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.scan(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }
}

fn crate_path(module: &[String]) -> Vec<String> {
    [&["crate".to_owned()], module].concat()
}

/// `#[cfg(test)]`, and no other condition.
fn is_test_only(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
}

fn attributes(item: &syn::Item) -> &[Attribute] {
    match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::used;

    /// Every path of a file in `flow::join`, but the prelude's.
    fn paths(text: &str) -> Vec<String> {
        let used = used(text, &["flow", "join"]).unwrap();
        used.into_iter().map(|used| used.path.join("::")).filter(|path| path.contains("::")).collect()
    }

    #[test]
    fn paths_are_found_wherever_they_stand_and_are_written_out() {
        let cases: [(&str, &[&str]); 14] = [
            ("use std::{fs, net::{self, TcpStream as T}};", &["std::fs", "std::net", "std::net::TcpStream"]),
            ("use tokio::sync::*;", &["tokio::sync"]),
            ("use super::other::A; fn f(_: A) {}", &["crate::flow::other::A", "crate::flow::other::A"]),
            ("use super::super::sink::B;", &["crate::sink::B"]),
            ("use self::part::C;", &["crate::flow::join::part::C"]),
            ("use core::time;", &["std::time"]),
            ("fn f() { g(mtlsnoop::sink::D); }", &["crate::sink::D"]),
            ("use std::time; fn f() { time::Instant::now(); }", &["std::time", "std::time::Instant::now"]),
            ("fn f(_: Vec<std::fs::File>) {}", &["std::fs::File"]),
            ("fn f() { format!(\"{}\", std::env::var(\"A\")); }", &["std::env::var"]),
            ("fn f() { log::info!(\"a\"); }", &["log::info"]),
            ("#[derive(Debug, serde::Serialize)] struct S;", &["serde::Serialize"]),
            ("#[cfg(test)] mod tests { use std::fs; }", &[]),
            ("mod inner { use super::super::E; }", &["crate::flow::E"]),
        ];
        for (text, expected) in cases {
            assert_eq!(paths(text), expected, "{text}");
        }
    }

    #[test]
    fn each_path_has_its_line() {
        let used = used("\n\nuse std::fs;\nfn f() {\n    log::info!(a::b);\n}\n", &[]).unwrap();
        let lines: Vec<usize> =
            used.iter().filter(|used| used.path.len() > 1).map(|used| used.line).collect();
        assert_eq!(lines, [3, 5, 5]);
    }

    #[test]
    fn a_file_that_does_not_parse_is_an_error() {
        assert!(used("fn f( {", &[]).is_err());
    }
}
