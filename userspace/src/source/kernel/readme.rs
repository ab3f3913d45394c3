//! The tables of hooks and capabilities in the README are those of the data. `MTLSNOOP_BLESS=1` writes them anew.

use std::{env, fmt::Write as _, fs, path::Path};

use crate::source::kernel::{
    capability::{self, Capability},
    hooks::{self, Capture, Variant},
};

fn hooks() -> String {
    let mut table = "| hook | gives | variants | without it |\n|---|---|---|---|\n".to_owned();
    for plan in hooks::all() {
        let variants: Vec<_> = plan.variants.iter().map(variant).collect();
        let (variants, lost) = (variants.join("; else "), plan.lost_without);
        let lost = if plan.is_required { format!("it does not start: {lost}") } else { lost.to_owned() };
        writeln!(table, "| {} | {} | {variants} | {lost} |", plan.name, plan.gives).unwrap();
    }
    table
}

fn variant(variant: &Variant) -> String {
    let parts: Vec<_> =
        variant.parts.iter().map(|part| format!("`{}` ({})", part.place, part.program)).collect();
    let parts = parts.join(" and ");
    match variant.lost {
        Some(lost) => format!("{parts}: {lost}"),
        None => parts,
    }
}

fn capabilities() -> String {
    let mut table = "| capability | needed by | for | without it |\n|---|---|---|---|\n".to_owned();
    for capability in Capability::ALL {
        let modes = Capture::ALL.into_iter().filter(|capture| capture.needs().contains(&capability));
        let modes: Vec<_> = modes.map(|capture| format!("capture {}", capture.name())).collect();
        let modes = if modes.is_empty() { "none".to_owned() } else { modes.join(", ") };
        let lost = capability.lost_without().unwrap_or("it does not start");
        writeln!(table, "| {capability} | {modes} | {} | {lost} |", capability.purpose()).unwrap();
    }
    table
}

/// The text with what is between a mark and its end replaced.
fn with_table(text: &str, mark: &str, table: &str) -> String {
    let begin = format!("<!-- {mark} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{begin}{table}<!-- end -->{after}")
}

#[test]
fn the_readme_has_the_tables_of_the_data() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("README.md");
    let found = fs::read_to_string(&path).unwrap();
    let expected = with_table(&with_table(&found, "hooks", &hooks()), "capabilities", &capabilities());
    if env::var_os("MTLSNOOP_BLESS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(found == expected, "the tables in README.md are old; MTLSNOOP_BLESS=1 writes them anew");
}

#[test]
fn the_command_in_the_readme_gives_what_the_default_needs() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("README.md")).unwrap();
    let command = format!("`setcap {}+ep mtlsnoop`", capability::for_setcap(&Capture::default().needs()));
    assert!(text.contains(&command), "{command}");
}
