//! A source file, parsed once, and what the rules ask of it.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// The words of a path, such as `crate::host::Host`.
pub type Words = Vec<String>;

/// What one file says.
#[derive(Default)]
pub struct Source {
    pub text: String,
    /// Every path that it names, whether imported, written out or within a macro.
    pub paths: Vec<Words>,
    /// Those that its code names, without its tests and without what it only exports anew.
    pub named: Vec<Words>,
    /// What it declares at its top level.
    pub declared: BTreeSet<String>,
    /// Those of them that are public.
    pub public: Vec<String>,
    /// The names that it takes from elsewhere, privately or to export them, each with its paths: one
    /// may come from either world. What it takes whole stands under `*`.
    pub imports: BTreeMap<String, Vec<Words>>,
    /// Macros that it exports at the crate's root.
    pub macros: Vec<String>,
    /// Its modules that only tests are compiled with.
    pub test_modules: Vec<String>,
}

impl Source {
    /// Parses a file.
    pub fn new(text: String) -> Self {
        let file = syn::parse_file(&text).expect("it compiles");
        let mut reader =
            Reader { source: Source { text, ..Source::default() }, tests: 0, inner: 0 };
        reader.visit_file(&file);
        for item in &file.items {
            reader.source.declare(item);
        }
        reader.source
    }

    fn declare(&mut self, item: &syn::Item) {
        let (name, visibility) = match item {
            syn::Item::Fn(item) => (&item.sig.ident, Some(&item.vis)),
            syn::Item::Struct(item) => (&item.ident, Some(&item.vis)),
            syn::Item::Enum(item) => (&item.ident, Some(&item.vis)),
            syn::Item::Trait(item) => (&item.ident, Some(&item.vis)),
            syn::Item::Type(item) => (&item.ident, Some(&item.vis)),
            syn::Item::Const(item) => (&item.ident, Some(&item.vis)),
            syn::Item::Static(item) => (&item.ident, None),
            syn::Item::Macro(item) => {
                let exported = item.attrs.iter().any(|of| of.path().is_ident("macro_export"));
                self.macros.extend(item.ident.iter().filter(|_| exported).map(ToString::to_string));
                return;
            }
            syn::Item::Mod(item) if item.content.is_none() && is_for_tests(&item.attrs) => {
                return self.test_modules.push(item.ident.to_string());
            }
            _ => return,
        };
        if matches!(visibility, Some(syn::Visibility::Public(_))) {
            self.public.push(name.to_string());
        }
        self.declared.insert(name.to_string());
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |of: &syn::Attribute| {
        of.path().is_ident("cfg")
            && of.parse_args::<syn::Path>().is_ok_and(|of| of.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

struct Reader {
    source: Source,
    /// How many modules of tests it is in.
    tests: usize,
    /// How many modules it is in that have no file of their own.
    inner: usize,
}

impl Reader {
    fn name(&mut self, mut path: Words, only_exports: bool) {
        self.source.paths.push(path.clone());
        if self.tests > 0 || only_exports {
            return;
        }
        // Within a module of this file its parent is this file.
        for _ in 0..self.inner {
            if path.first().is_some_and(|first| first == "super") {
                path.remove(0);
            }
        }
        self.source.named.push(path);
    }

    fn import(&mut self, tree: &syn::UseTree, mut before: Words, only_exports: bool) {
        let (own, path) = match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                return self.import(&path.tree, before, only_exports);
            }
            syn::UseTree::Group(group) => {
                let inner = group.items.iter();
                return inner.for_each(|tree| self.import(tree, before.clone(), only_exports));
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                (before.last().cloned().unwrap_or_default(), before)
            }
            syn::UseTree::Name(name) => {
                before.push(name.ident.to_string());
                (name.ident.to_string(), before)
            }
            syn::UseTree::Rename(name) => {
                before.push(name.ident.to_string());
                (name.rename.to_string(), before)
            }
            syn::UseTree::Glob(_) => ("*".to_string(), before),
        };
        let whole = own == "*";
        if self.inner == 0 {
            self.source.imports.entry(own).or_default().push(path.clone());
        }
        self.name(path, only_exports);
        if whole && self.tests == 0 && !only_exports {
            let taken = self.source.named.last_mut().expect("it was just named");
            taken.push("*".to_string());
        }
    }

    /// Paths within a macro are not parsed; words with `::` between them are.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.name(std::mem::take(&mut path), false);
                    }
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    colons = 0;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => colons = 0,
            }
        }
        self.name(path, false);
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        let tests = usize::from(is_for_tests(&item.attrs));
        let inner = usize::from(item.content.is_some());
        (self.tests, self.inner) = (self.tests + tests, self.inner + inner);
        visit::visit_item_mod(self, item);
        (self.tests, self.inner) = (self.tests - tests, self.inner - inner);
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        let only_exports = !matches!(item.vis, syn::Visibility::Inherited);
        let tests = usize::from(is_for_tests(&item.attrs));
        self.tests += tests;
        self.import(&item.tree, Vec::new(), only_exports);
        self.tests -= tests;
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let words = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(words, false);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'a syn::Macro) {
        self.tokens(of.tokens.clone());
        visit::visit_macro(self, of);
    }

    // Who may see something is no use of it.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}
}
