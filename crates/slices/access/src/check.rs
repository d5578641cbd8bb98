//! Checking what requests bring: all flaws of a body are told at once.

use std::collections::BTreeMap;

use kernel::{FieldError, Problem};

/// Collects the fields that are not valid.
#[derive(Default)]
pub struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    pub fn fail(&mut self, field: &str, message: impl ToString) {
        self.errors.push(FieldError {
            field: field.into(),
            message: message.to_string(),
        });
    }

    /// A line of text of `min` to `max` characters, without the blanks around it.
    pub fn line(&mut self, field: &str, value: &str, min: usize, max: usize) -> String {
        let value = value.trim();
        let length = value.chars().count();
        if length < min {
            self.fail(field, format!("needs at least {min} characters"));
        } else if length > max {
            self.fail(field, format!("may have at most {max} characters"));
        } else if value.chars().any(char::is_control) {
            self.fail(field, "must not contain control characters");
        }
        value.to_owned()
    }

    /// What somebody signs in with.
    pub fn login(&mut self, field: &str, value: &str) -> String {
        let login = self.line(field, value, 2, 80);
        if login.chars().any(char::is_whitespace) {
            self.fail(field, "must not contain blanks");
        }
        login
    }

    /// An address, or nothing.
    pub fn email(&mut self, field: &str, value: &str) -> String {
        let email = self.line(field, value, 0, 200);
        let is_address = email
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'));
        if !email.is_empty() && (!is_address || email.contains(char::is_whitespace)) {
            self.fail(field, "is not an e-mail address");
        }
        email
    }

    pub fn password(&mut self, field: &str, value: &str, login: &str) {
        if let Some(flaw) = crate::decide::password_flaw(value, login) {
            self.fail(field, flaw);
        }
    }

    pub fn tags(&mut self, field: &str, tags: &BTreeMap<String, String>) {
        if tags.len() > 20 {
            self.fail(field, "may have at most 20 tags");
        }
        for (name, value) in tags {
            self.line(field, name, 1, 60);
            self.line(field, value, 1, 200);
        }
    }

    pub fn done(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}
