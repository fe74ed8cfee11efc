//! Finding and reading the repository's own files.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Folders that hold what tools made, not what people wrote.
const MADE_BY_TOOLS: [&str; 7] = ["target", "node_modules", ".venv", ".git", "corpus", "artifacts", "__pycache__"];

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// One file with its path from the root of the repository, written with `/`.
pub struct File {
    /// As in `crates/sori/src/main.rs`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// All files below `folder` (from the root) whose extension is one of `extensions`, sorted by path.
pub fn with_extension(folder: &str, extensions: &[&str]) -> io::Result<Vec<File>> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !MADE_BY_TOOLS.contains(&name) {
                    folders.push(path);
                }
            } else if extensions.iter().any(|wanted| path.extension().is_some_and(|extension| extension == *wanted)) {
                let text = fs::read_to_string(&path)?;
                let path = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// One file by its path from the root.
pub fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(root().join(path)).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
}
