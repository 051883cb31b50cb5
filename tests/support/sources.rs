//! Reads the project's own source files, for tests of their form.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file and its path from the top of the repository.
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    /// Returns the text without comments and without the unit tests at the end of the file.
    pub fn code(&self) -> String {
        let code = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub fn is_unit_test(&self) -> bool {
        let parts = self.path.trim_end_matches(".rs").split('/');
        parts.into_iter().any(|part| part == "tests" || part.ends_with("_tests"))
    }

    pub fn test_names(&self) -> impl Iterator<Item = &str> {
        self.text.split("#[test]\n").skip(1).filter_map(|test| {
            let (_, name) = test.split_once("fn ")?;
            name.split('(').next()
        })
    }
}

/// Returns every Rust file below `folder`, in order, except for build artifacts.
pub fn sources(folder: &str) -> Vec<Source> {
    sources_of("rs", folder)
}

/// Returns every file below `folder` whose name has this extension, in order, except for build artifacts.
pub fn sources_of(extension: &str, folder: &str) -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(extension, &top.join(folder), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "sources of {extension} below {folder}");
    paths
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).expect("a source file"),
            path: path.strip_prefix(top).expect("below the top").display().to_string(),
        })
        .collect()
}

fn collect(extension: &str, folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with("target") {
            continue;
        }
        if path.is_dir() {
            collect(extension, &path, paths);
        } else if path.extension().is_some_and(|of| of == extension) {
            paths.push(path);
        }
    }
}
