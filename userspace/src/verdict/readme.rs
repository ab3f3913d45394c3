//! The table of findings and causes in the README is made from the rules.

use std::fmt::Write as _;

use crate::{readme, update::Code, verdict::cause::rules};

#[test]
fn the_readme_has_the_table_of_the_rules() {
    let mut table =
        "| finding | cause | when | confirmed by | refuted by | mend |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for code in Code::ALL {
        for rule in rules(code) {
            let (cause, when, mend) = (rule.code, rule.situation, rule.mend);
            let (code, confirmed, refuted) = (code.name(), rule.confirmed_by, rule.refuted_by);
            writeln!(table, "| `{code}` | `{cause}` | {when} | {confirmed} | {refuted} | {mend} |").unwrap();
        }
    }
    readme::check_table("causes", &table);
}
