//! Scalars and their YAML 1.2 core schema reading.

/// A scalar as written. Quoted ones are always text; plain ones may also be a number, a boolean or null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    text: String,
    plain: bool,
}

impl Scalar {
    pub(crate) fn new(text: String, plain: bool) -> Scalar {
        Scalar { text, plain }
    }

    /// The text without quotes and with escapes resolved.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the scalar was written without quotes.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// `true` and `false`; the `yes` and `on` of YAML 1.1 are text.
    pub fn as_bool(&self) -> Option<bool> {
        match self.text.as_str() {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }

    /// Decimal, `0o17` and `0x1f`.
    pub fn as_i64(&self) -> Option<i64> {
        if !self.plain {
            return None;
        }
        if let Some(octal) = self.text.strip_prefix("0o") {
            return unsigned(octal, 8);
        }
        if let Some(hex) = self.text.strip_prefix("0x") {
            return unsigned(hex, 16);
        }
        self.text.parse().ok()
    }

    /// Any number, `.inf` and `.nan` included.
    pub fn as_f64(&self) -> Option<f64> {
        if !self.plain {
            return None;
        }
        if let Some(n) = self.as_i64() {
            return Some(n as f64);
        }
        match self.text.as_str() {
            ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
            _ => {}
        }
        // Rust also reads "inf", "nan" and the like, which YAML takes for text.
        let numeric = self
            .text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
        if numeric { self.text.parse().ok() } else { None }
    }

    pub(crate) fn describe(&self) -> String {
        if self.is_null() {
            return "nothing".into();
        }
        let shown: String = self.text.chars().take(40).collect();
        let more = if shown.len() < self.text.len() { "…" } else { "" };
        let kind = match (self.as_bool(), self.as_f64()) {
            (Some(_), _) => "the boolean ",
            (_, Some(_)) => "the number ",
            _ => return format!("the text {:?}{more}", shown),
        };
        format!("{kind}{shown}{more}")
    }
}

fn unsigned(digits: &str, radix: u32) -> Option<i64> {
    if digits.starts_with(['+', '-']) {
        None
    } else {
        i64::from_str_radix(digits, radix).ok()
    }
}
