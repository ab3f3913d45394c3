//! Why it is wrong, and what mends that: one cause a file, asked in order; the first that applies is told.

mod headless_unconditional_mtls;
mod unconditional_mtls;

use crate::{
    update::{Cause, Fix},
    verdict::Case,
};

/// A cause: when it applies, it says what it is and how to mend it.
struct Rule {
    code: &'static str,
    applies: fn(&Case<'_>) -> bool,
    text: fn(&Case<'_>) -> String,
    fix: fn(&Case<'_>) -> Fix,
}

/// From the most special to the most general; the last one always applies.
const RULES: [Rule; 2] = [headless_unconditional_mtls::RULE, unconditional_mtls::RULE];

/// The stable codes of all causes.
pub fn codes() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.code)
}

/// The cause of a case, and its fix.
pub fn of(case: &Case<'_>) -> (Cause, Fix) {
    let [.., last] = &RULES;
    let rule = RULES.iter().find(|rule| (rule.applies)(case)).unwrap_or(last);
    (Cause { code: rule.code, text: (rule.text)(case).into() }, (rule.fix)(case))
}
