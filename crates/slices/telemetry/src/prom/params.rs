//! Parameters, from the query string or a form body, in the units that Prometheus takes.

use axum::body::Bytes;
use jiff::Timestamp;

use super::render::Refusal;

/// The parameters of a request, repeated ones included.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn read(query: Option<&str>, body: Option<&Bytes>) -> Self {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in [query.map(str::as_bytes), body.map(AsRef::as_ref)]
            .into_iter()
            .flatten()
        {
            pairs.extend(form_urlencoded::parse(part).into_owned());
        }
        Self(pairs)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, v)| n == name && !v.is_empty())
            .map(|(_, v)| v.as_str())
    }

    /// Every value of a parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(n, _)| n == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::bad_data(format!("the parameter \"{name}\" is missing")))
    }

    /// `match[]`, each a series selector; more than one widens the answer.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<tsdb::Matcher>>, Refusal> {
        self.0
            .iter()
            .filter(|(name, _)| name == "match[]")
            .map(|(_, text)| {
                let matchers = promql::parse_selector(text)
                    .map_err(|error| Refusal::bad_data(format!("match[] \"{text}\": {error}")))?;
                crate::source::store_matchers(&matchers).map_err(Refusal::bad_data)
            })
            .collect()
    }

    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.get(name).map(|text| parse_time_ms(name, text)).transpose()
    }

    pub(super) fn duration_ms(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.get(name)
            .map(|text| parse_duration_ms(name, text))
            .transpose()
    }

    pub(super) fn limit(&self) -> Result<usize, Refusal> {
        match self.get("limit") {
            None | Some("0") => Ok(usize::MAX),
            Some(text) => text
                .parse()
                .map_err(|_| Refusal::bad_data(format!("limit \"{text}\" is not a number"))),
        }
    }
}

/// Seconds since 1970, with a fraction, or RFC 3339.
fn parse_time_ms(name: &str, text: &str) -> Result<i64, Refusal> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        if millis.is_finite() && millis.abs() < 9e15 {
            return Ok(millis as i64);
        }
    }
    // What Go's clients send for "everything".
    match text {
        "-292273086-05-16T16:47:06Z" => return Ok(i64::MIN),
        "292277025-08-18T07:12:54.999999999Z" | "+292277025-08-18T07:12:54.999999999Z" => {
            return Ok(i64::MAX);
        }
        _ => {}
    }
    text.parse::<Timestamp>()
        .map(Timestamp::as_millisecond)
        .map_err(|_| {
            Refusal::bad_data(format!(
                "{name} \"{text}\" is neither seconds since 1970 nor an RFC 3339 time"
            ))
        })
}

/// Seconds, with a fraction, or a duration such as `5m`.
fn parse_duration_ms(name: &str, text: &str) -> Result<i64, Refusal> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds * 1000.0;
        if millis.is_finite() && millis.abs() < 9e15 {
            return Ok(millis.round() as i64);
        }
    }
    promql::parse_duration(text).map_err(|_| {
        Refusal::bad_data(format!(
            "{name} \"{text}\" is neither seconds nor a duration such as 30s or 5m"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_come_in_both_forms() {
        let params = Params::read(
            Some("a=1.5&b=2026-01-02T03%3A04%3A05Z&c=1h30m&d=x&match[]=up&match[]={job=~\"a.*\"}"),
            None,
        );
        assert_eq!(params.time_ms("a").unwrap(), Some(1500));
        assert_eq!(params.time_ms("b").unwrap(), Some(1_767_323_045_000));
        assert_eq!(params.duration_ms("c").unwrap(), Some(5_400_000));
        assert!(params.time_ms("d").is_err() && params.duration_ms("d").is_err());
        assert_eq!(params.selectors().unwrap().len(), 2);
        assert!(Params::read(Some("a=1e300"), None).time_ms("a").is_err());
    }
}
