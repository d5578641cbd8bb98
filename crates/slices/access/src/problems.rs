//! Problems that only access answers with. Each has its page in `docs/api/errors`.

use kernel::http::problem::Code;

pub const CSRF: Code = Code {
    slug: "csrf",
    status: 403,
    title: "The change does not carry the session's token",
};

pub const SETUP_TOKEN: Code = Code {
    slug: "setup-token",
    status: 403,
    title: "The setup link is not good",
};

pub const ALL: &[Code] = &[CSRF, SETUP_TOKEN];
