//! The modules of this repository's crates, one file each, and the imports between them.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use super::sources::{Source, sources};

/// The path of a module or of an item in it. It begins with the name of the crate.
pub type Path = Vec<String>;

/// The folder, root file and name of each crate. A folder stands before those inside of it.
const CRATES: [(&str, &str, &str); 4] = [
    ("src/", "lib", "reactor_chat"),
    ("src/bin/", "reactor-chat", "server"),
    ("src/bin/reactor-chat-client/", "main", "client"),
    ("benches/", "fanout", "bench"),
];

pub struct Modules {
    modules: BTreeMap<Path, Module>,
}

#[derive(Default)]
struct Module {
    /// Every path that the file names in `use`, or that begins with the name of a module.
    references: Vec<Path>,
    /// Names that `use` introduces, with their paths. A parent passes the types of one child to
    /// another in this way.
    names: BTreeMap<String, Path>,
}

impl Modules {
    /// Reads everything but unit tests, which may know more than the code that they test.
    pub fn read() -> Self {
        let all = sources("src").into_iter().chain(sources("benches"));
        let code = all.filter(|source| !source.is_unit_test());
        let modules = code.map(|source| {
            let path = module_path(&source.path);
            let module = Module::read(&path, &source);
            (path, module)
        });
        Self { modules: modules.collect() }
    }

    /// Returns each pair of modules with one parent where the first or a module below it names
    /// something in the second or below that.
    pub fn imports_between_siblings(&self) -> BTreeSet<(Path, Path)> {
        let mut found = BTreeSet::new();
        for (importer, module) in &self.modules {
            for reference in &module.references {
                let imported = self.owner_of(reference);
                let shared = importer.iter().zip(&imported).take_while(|(a, b)| a == b).count();
                if shared > 0 && shared < importer.len().min(imported.len()) {
                    found.insert((importer[..=shared].into(), imported[..=shared].into()));
                }
            }
        }
        found
    }

    /// Returns the module that defines an item. Follows re-exports.
    fn owner_of(&self, item: &[String]) -> Path {
        let mut owner = item[..1].to_vec();
        for (depth, name) in item.iter().enumerate().skip(1) {
            if self.modules.contains_key(&item[..=depth]) {
                owner.push(name.clone());
                continue;
            }
            let names = self.modules.get(&owner).map(|module| &module.names);
            let target = names.and_then(|names| names.get(name));
            // A module that imports from outside under its own name leads back to itself.
            let Some(target) = target.filter(|target| target.as_slice() != &item[..=depth]) else {
                break;
            };
            return self.owner_of(&[target.as_slice(), &item[depth + 1..]].concat());
        }
        owner
    }
}

impl Module {
    fn read(path: &Path, source: &Source) -> Self {
        let mut module = Self::default();
        let code = source.code();
        let mut rest = code.as_str();
        while !rest.is_empty() {
            let (word, after) = split_word(rest);
            rest = match word {
                "use" => module.read_use(path, &[], after.trim_start()),
                "crate" | "super" | "reactor_chat" => {
                    let end = rest.find(|c: char| c != ':' && !is_word(c)).unwrap_or(rest.len());
                    let segments: Vec<&str> = rest[..end].split("::").collect();
                    module.references.push(absolute(path, &segments));
                    &rest[end..]
                }
                "" => after.trim_start_matches(|c| !is_word(c)),
                _ => after,
            };
        }
        module
    }

    /// Notes the import at the beginning of `rest`, or each one of a group such as `a::{b, c::d}`.
    /// Returns the text behind it.
    fn read_use<'a>(&mut self, importer: &Path, prefix: &[&'a str], rest: &'a str) -> &'a str {
        if let Some(mut group) = rest.strip_prefix('{') {
            while !group.starts_with('}') {
                group = self.read_use(importer, prefix, group.trim_start());
                group = group.trim_start_matches(',').trim_start();
            }
            return &group[1..];
        }
        let (word, after) = split_word(rest.trim_start_matches('*'));
        let path = [prefix, &[word]].concat();
        if let Some(inner) = after.strip_prefix("::") {
            return self.read_use(importer, &path, inner);
        }
        let target = absolute(importer, &path);
        let (name, after) = after.strip_prefix(" as ").map_or((word, after), split_word);
        let name = if name == "self" { prefix.last().unwrap_or(&name) } else { name };
        self.names.insert(name.into(), target.clone());
        self.references.push(target);
        after
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Splits off the word at the beginning, which may be empty.
fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

/// Returns the path from the crate's root. Paths of other crates become items of the importer, which
/// does no harm.
fn absolute(importer: &Path, segments: &[&str]) -> Path {
    let mut path = importer.clone();
    for segment in segments {
        match *segment {
            "crate" => path.truncate(1),
            "reactor_chat" => path = vec![segment.to_string()],
            "super" => drop(path.pop()),
            "self" | "" => {}
            name => path.push(name.into()),
        }
    }
    path
}

fn module_path(file: &str) -> Path {
    let (folder, root, name) =
        CRATES.iter().rfind(|(folder, ..)| file.starts_with(folder)).expect("the crate of a file");
    let inner = file[folder.len()..].trim_end_matches(".rs").trim_end_matches("/mod");
    let parts = inner.split('/').filter(|part| part != root);
    iter::once(*name).chain(parts).map(String::from).collect()
}
