//! Tables in the README that are made from data: each stands between a mark and its end. `MTLSNOOP_BLESS=1` writes them anew.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Tests run at the same time, and write the same file.
static WRITING: Mutex<()> = Mutex::new(());

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("README.md")
}

/// The whole of it.
pub(crate) fn text() -> String {
    fs::read_to_string(path()).unwrap()
}

/// The table with this mark is that of the data.
#[track_caller]
pub(crate) fn check_table(mark: &str, table: &str) {
    let _writing = WRITING.lock().unwrap();
    let found = text();
    let expected = with_table(&found, mark, table);
    if env::var_os("MTLSNOOP_BLESS").is_some() {
        fs::write(path(), &expected).unwrap();
        return;
    }
    assert!(found == expected, "the table {mark} in README.md is old; MTLSNOOP_BLESS=1 writes it anew");
}

/// The text with what is between a mark and its end replaced.
fn with_table(text: &str, mark: &str, table: &str) -> String {
    let begin = format!("<!-- {mark} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{begin}{table}<!-- end -->{after}")
}
