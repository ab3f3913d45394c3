//! The tables of hooks and capabilities in the README are those of the data.

use std::fmt::Write as _;

use crate::{
    readme,
    source::kernel::{
        capability::{self, Capability},
        hooks::{self, Capture, Variant},
    },
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

#[test]
fn the_readme_has_the_tables_of_the_data() {
    readme::check_table("hooks", &hooks());
    readme::check_table("capabilities", &capabilities());
}

#[test]
fn the_command_in_the_readme_gives_what_the_default_needs() {
    let command = format!("`setcap {}+ep mtlsnoop`", capability::for_setcap(&Capture::default().needs()));
    assert!(readme::text().contains(&command), "{command}");
}
