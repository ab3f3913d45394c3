//! Users by their bearer tokens; it must not know where tokens are kept.

use std::collections::BTreeMap;

use super::rbac::Rules;

/// A user and what it may do.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) rules: Rules,
}

/// All users.
#[derive(Debug, Default)]
pub(crate) struct Users {
    users: BTreeMap<String, User>,
    /// User by token.
    tokens: BTreeMap<String, String>,
}

impl Users {
    pub(crate) fn add(&mut self, name: &str, rules: Rules) {
        self.users.insert(name.to_owned(), User { name: name.to_owned(), rules });
    }

    /// A token is good from now on.
    pub(crate) fn admit(&mut self, token: &str, name: &str) {
        self.tokens.insert(token.to_owned(), name.to_owned());
    }

    /// No token of this user is good any more.
    pub(crate) fn expire_tokens(&mut self, name: &str) {
        self.tokens.retain(|_, user| user != name);
    }

    /// Who presents this header.
    pub(crate) fn authenticate(&self, authorization: Option<&str>) -> Option<&User> {
        let token = authorization?.strip_prefix("Bearer ")?;
        self.users.get(self.tokens.get(token)?)
    }

    /// A user by its name.
    pub(crate) fn named(&mut self, name: &str) -> Option<&mut User> {
        self.users.get_mut(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_it_expires() {
        let mut users = Users::default();
        users.add("agent", Rules::all());
        users.admit("old", "agent");
        assert_eq!(users.authenticate(Some("Bearer old")).map(|user| user.name.as_str()), Some("agent"));
        for wrong in [None, Some("old"), Some("Bearer other"), Some("Basic old")] {
            assert!(users.authenticate(wrong).is_none(), "{wrong:?}");
        }
        users.expire_tokens("agent");
        users.admit("new", "agent");
        assert!(users.authenticate(Some("Bearer old")).is_none());
        assert!(users.authenticate(Some("Bearer new")).is_some());
    }
}
