//! The built-in filters and `range` behind the budget: what they read is charged before, what they make is charged after,
//! and those that can make more than they read are checked before they run.

use std::sync::Arc;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, State, Value, filters};

use crate::budget::{Budget, refused};

/// Charges for a value and hands it on. No template can name it.
pub const CHARGE: &str = "=charge";
/// Charges as many bytes as its value says.
pub const SPEND: &str = "=spend";
/// The operator `*`.
pub const MULTIPLY: &str = "=multiply";

/// Numbers of `range`, lines of `batch`, columns of `indent`, digits of `format`.
const RANGE_MAX: i64 = 10_000;
const COUNT_MAX: i64 = 1_000;

pub fn install(environment: &mut Environment<'static>, budget: &Arc<Budget>) {
    environment.remove_filter("pprint");
    for (name, filter) in plain() {
        add(environment, budget, name, filter, |_, _| Ok(()));
    }
    add(
        environment,
        budget,
        "replace",
        Value::from_function(filters::replace),
        check_replace,
    );
    add(
        environment,
        budget,
        "join",
        Value::from_function(filters::join),
        check_join,
    );
    add(
        environment,
        budget,
        "indent",
        Value::from_function(filters::indent),
        check_indent,
    );
    add(
        environment,
        budget,
        "format",
        Value::from_function(filters::format),
        check_format,
    );
    for (name, filter) in [
        ("batch", Value::from_function(filters::batch)),
        ("slice", Value::from_function(filters::slice)),
        ("tojson", Value::from_function(filters::tojson)),
    ] {
        add(environment, budget, name, filter, check_count);
    }
    let own = budget.clone();
    environment.add_filter(CHARGE, move |args: Rest<Value>| {
        let value = args.first().cloned().unwrap_or_default();
        own.charge(&value).map(|()| value)
    });
    let own = budget.clone();
    environment.add_filter(SPEND, move |bytes: u64| {
        own.spend(usize::try_from(bytes).unwrap_or(usize::MAX))
    });
    let own = budget.clone();
    environment.add_filter(MULTIPLY, move |left: Value, right: Value| {
        multiply(&own, &left, &right)
    });
    let own = budget.clone();
    environment.add_function("range", move |from: i64, to: Option<i64>, step: Option<i64>| {
        range(&own, from, to, step)
    });
}

/// Filters whose result is about as large as what they read.
fn plain() -> Vec<(&'static str, Value)> {
    vec![
        ("lower", Value::from_function(filters::lower)),
        ("upper", Value::from_function(filters::upper)),
        ("title", Value::from_function(filters::title)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("escape", Value::from_function(filters::escape)),
        ("e", Value::from_function(filters::escape)),
        ("dictsort", Value::from_function(filters::dictsort)),
        ("items", Value::from_function(filters::items)),
        ("reverse", Value::from_function(filters::reverse)),
        ("trim", Value::from_function(filters::trim)),
        ("split", Value::from_function(filters::split)),
        ("lines", Value::from_function(filters::lines)),
        ("first", Value::from_function(filters::first)),
        ("last", Value::from_function(filters::last)),
        ("min", Value::from_function(filters::min)),
        ("max", Value::from_function(filters::max)),
        ("sort", Value::from_function(filters::sort)),
        ("list", Value::from_function(filters::list)),
        ("string", Value::from_function(filters::string)),
        ("sum", Value::from_function(filters::sum)),
        ("select", Value::from_function(filters::select)),
        ("reject", Value::from_function(filters::reject)),
        ("selectattr", Value::from_function(filters::selectattr)),
        ("rejectattr", Value::from_function(filters::rejectattr)),
        ("map", Value::from_function(filters::map)),
        ("groupby", Value::from_function(filters::groupby)),
        ("unique", Value::from_function(filters::unique)),
        ("chain", Value::from_function(filters::chain)),
        ("zip", Value::from_function(filters::zip)),
    ]
}

type Check = fn(&Budget, &[Value]) -> Result<(), Error>;

fn add(
    environment: &mut Environment<'static>,
    budget: &Arc<Budget>,
    name: &'static str,
    filter: Value,
    check: Check,
) {
    let budget = budget.clone();
    environment.add_filter(name, move |state: &mut State, args: Rest<Value>| {
        for value in args.iter() {
            budget.charge(value)?;
        }
        check(&budget, &args)?;
        let made = filter.call(state, &args)?;
        budget.charge(&made)?;
        Ok::<_, Error>(made)
    });
}

fn check_replace(budget: &Budget, args: &[Value]) -> Result<(), Error> {
    let text = |at: usize| {
        args.get(at)
            .map(|value| crate::text(value, budget.value_max()))
            .unwrap_or_default()
    };
    let (source, from, to) = (text(0), text(1), text(2));
    let found = match from.len() {
        0 => source.chars().count() + 1,
        size => source.len() / size,
    };
    let is_large = source.len().saturating_add(found.saturating_mul(to.len())) > budget.value_max();
    // The estimate is cheap; only a large one is counted out.
    if is_large && !from.is_empty() {
        return budget.made(source.len() + source.matches(&from).count().saturating_mul(to.len()));
    }
    budget.made(source.len() + found.saturating_mul(to.len()))
}

fn check_join(budget: &Budget, args: &[Value]) -> Result<(), Error> {
    let items = args.first().and_then(Value::len).unwrap_or(budget.value_max());
    let between = args.get(1).and_then(Value::as_str).map_or(0, str::len);
    budget.made(items.saturating_mul(between))
}

fn check_indent(budget: &Budget, args: &[Value]) -> Result<(), Error> {
    check_count(budget, args)?;
    let lines = args
        .first()
        .and_then(Value::as_str)
        .map_or(1, |text| text.lines().count() + 1);
    let widest = args.iter().skip(1).filter_map(largest).max().unwrap_or(4);
    budget.made(lines.saturating_mul(usize::try_from(widest).unwrap_or(usize::MAX)))
}

/// The largest number that an argument holds, also by name.
fn largest(value: &Value) -> Option<i64> {
    match value.kind() {
        ValueKind::Number => Some(value.as_i64().unwrap_or(i64::MAX)),
        ValueKind::String => value
            .as_str()
            .map(|text| i64::try_from(text.len()).unwrap_or(i64::MAX)),
        ValueKind::Map => {
            let keys = value.try_iter().ok()?;
            keys.filter_map(|key| value.get_item(&key).ok())
                .filter_map(|value| largest(&value))
                .max()
        }
        _ => None,
    }
}

fn check_count(_: &Budget, args: &[Value]) -> Result<(), Error> {
    let is_large = |value: &Value| {
        value.kind() != ValueKind::String && largest(value).is_some_and(|size| size > COUNT_MAX)
    };
    match args.iter().skip(1).any(is_large) {
        true => Err(refused(format!("a count is larger than {COUNT_MAX}"))),
        false => Ok(()),
    }
}

/// Widths and precisions of a format have at most three digits and stand in the text.
fn check_format(_: &Budget, args: &[Value]) -> Result<(), Error> {
    let format = args.first().and_then(Value::as_str).unwrap_or_default();
    let is_wide = format
        .split(|c: char| !c.is_ascii_digit())
        .any(|digits| digits.len() > 3);
    match is_wide || format.contains('*') {
        true => Err(refused("the format has a width of more than three digits")),
        false => Ok(()),
    }
}

fn multiply(budget: &Budget, left: &Value, right: &Value) -> Result<Value, Error> {
    let text = left
        .as_str()
        .zip(right.as_i64())
        .or_else(|| right.as_str().zip(left.as_i64()));
    if let Some((text, times)) = text {
        let times = usize::try_from(times).unwrap_or(0);
        budget.made(text.len().saturating_mul(times))?;
        return Ok(Value::from(text.repeat(times)));
    }
    if left.kind() != ValueKind::Number || right.kind() != ValueKind::Number {
        return Err(refused("* takes numbers, or a text and a number"));
    }
    if let (true, true, Ok(left), Ok(right)) = (
        left.is_integer(),
        right.is_integer(),
        i128::try_from(left.clone()),
        i128::try_from(right.clone()),
    ) {
        return left
            .checked_mul(right)
            .map(Value::from)
            .ok_or_else(|| refused("the product is too large"));
    }
    Ok(Value::from(
        f64::try_from(left.clone())? * f64::try_from(right.clone())?,
    ))
}

fn range(budget: &Budget, from: i64, to: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (from, to) = to.map_or((0, from), |to| (from, to));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(refused("the step of a range cannot be 0"));
    }
    let mut numbers = Vec::new();
    let mut next = Some(from);
    while let Some(number) = next.filter(|number| if step > 0 { *number < to } else { *number > to }) {
        if numbers.len() as i64 >= RANGE_MAX {
            return Err(refused(format!("a range has more than {RANGE_MAX} numbers")));
        }
        numbers.push(Value::from(number));
        next = number.checked_add(step);
    }
    budget.made(numbers.len())?;
    Ok(Value::from(numbers))
}
