//! The `DestinationRule` that Istio selects for a case, in words. Pure.

use crate::{policy::Rule, verdict::case::Case};

/// `DestinationRule NAMESPACE/NAME`; none where it is not known, or there is none.
pub(super) fn name(case: &Case<'_>) -> Option<String> {
    match case.declared.rule() {
        Rule::Taken(selected) => {
            Some(format!("DestinationRule {}/{}", selected.rule.namespace, selected.rule.name))
        }
        Rule::None | Rule::NotKnown => None,
    }
}
