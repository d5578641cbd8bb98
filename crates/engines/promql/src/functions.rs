//! The table of functions: names, argument types, results.

use crate::ast::ValueType;
use ValueType::{Matrix, Scalar, String as Text, Vector};

/// One function of the language.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    pub args: &'static [ValueType],
    /// How many trailing arguments may be left out.
    pub optional: usize,
    /// Whether the last argument may be repeated.
    pub repeats: bool,
    pub returns: ValueType,
}

const fn f(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function {
        name,
        args,
        optional: 0,
        repeats: false,
        returns,
    }
}

const fn opt(name: &'static str, args: &'static [ValueType], optional: usize) -> Function {
    Function {
        name,
        args,
        optional,
        repeats: false,
        returns: Vector,
    }
}

const fn many(name: &'static str, args: &'static [ValueType], optional: usize) -> Function {
    Function {
        name,
        args,
        optional,
        repeats: true,
        returns: Vector,
    }
}

/// Every function, sorted by name.
pub static FUNCTIONS: &[Function] = &[
    f("abs", &[Vector], Vector),
    f("absent", &[Vector], Vector),
    f("absent_over_time", &[Matrix], Vector),
    f("acos", &[Vector], Vector),
    f("acosh", &[Vector], Vector),
    f("asin", &[Vector], Vector),
    f("asinh", &[Vector], Vector),
    f("atan", &[Vector], Vector),
    f("atanh", &[Vector], Vector),
    f("avg_over_time", &[Matrix], Vector),
    f("ceil", &[Vector], Vector),
    f("changes", &[Matrix], Vector),
    f("clamp", &[Vector, Scalar, Scalar], Vector),
    f("clamp_max", &[Vector, Scalar], Vector),
    f("clamp_min", &[Vector, Scalar], Vector),
    f("cos", &[Vector], Vector),
    f("cosh", &[Vector], Vector),
    f("count_over_time", &[Matrix], Vector),
    opt("day_of_month", &[Vector], 1),
    opt("day_of_week", &[Vector], 1),
    opt("day_of_year", &[Vector], 1),
    opt("days_in_month", &[Vector], 1),
    f("deg", &[Vector], Vector),
    f("delta", &[Matrix], Vector),
    f("deriv", &[Matrix], Vector),
    f("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector),
    f("end", &[], Scalar),
    f("exp", &[Vector], Vector),
    f("first_over_time", &[Matrix], Vector),
    f("floor", &[Vector], Vector),
    f("histogram_avg", &[Vector], Vector),
    f("histogram_count", &[Vector], Vector),
    f("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    f("histogram_quantile", &[Scalar, Vector], Vector),
    many("histogram_quantiles", &[Vector, Text, Scalar], 0),
    f("histogram_stddev", &[Vector], Vector),
    f("histogram_stdvar", &[Vector], Vector),
    f("histogram_sum", &[Vector], Vector),
    opt("hour", &[Vector], 1),
    f("idelta", &[Matrix], Vector),
    f("increase", &[Matrix], Vector),
    opt("info", &[Vector, Vector], 1),
    f("irate", &[Matrix], Vector),
    many("label_join", &[Vector, Text, Text, Text], 1),
    f("label_replace", &[Vector, Text, Text, Text, Text], Vector),
    f("last_over_time", &[Matrix], Vector),
    f("ln", &[Vector], Vector),
    f("log10", &[Vector], Vector),
    f("log2", &[Vector], Vector),
    f("mad_over_time", &[Matrix], Vector),
    f("max_of", &[Scalar, Scalar], Scalar),
    f("max_over_time", &[Matrix], Vector),
    f("min_of", &[Scalar, Scalar], Scalar),
    f("min_over_time", &[Matrix], Vector),
    opt("minute", &[Vector], 1),
    opt("month", &[Vector], 1),
    f("pi", &[], Scalar),
    f("predict_linear", &[Matrix, Scalar], Vector),
    f("present_over_time", &[Matrix], Vector),
    f("quantile_over_time", &[Scalar, Matrix], Vector),
    f("rad", &[Vector], Vector),
    f("range", &[], Scalar),
    f("rate", &[Matrix], Vector),
    f("resets", &[Matrix], Vector),
    opt("round", &[Vector, Scalar], 1),
    f("scalar", &[Vector], Scalar),
    f("sgn", &[Vector], Vector),
    f("sin", &[Vector], Vector),
    f("sinh", &[Vector], Vector),
    f("sort", &[Vector], Vector),
    many("sort_by_label", &[Vector, Text], 1),
    many("sort_by_label_desc", &[Vector, Text], 1),
    f("sort_desc", &[Vector], Vector),
    f("sqrt", &[Vector], Vector),
    f("start", &[], Scalar),
    f("start_timestamp", &[Vector], Vector),
    f("stddev_over_time", &[Matrix], Vector),
    f("stdvar_over_time", &[Matrix], Vector),
    f("step", &[], Scalar),
    f("sum_over_time", &[Matrix], Vector),
    f("tan", &[Vector], Vector),
    f("tanh", &[Vector], Vector),
    f("time", &[], Scalar),
    f("timestamp", &[Vector], Vector),
    f("ts_of_first_over_time", &[Matrix], Vector),
    f("ts_of_last_over_time", &[Matrix], Vector),
    f("ts_of_max_over_time", &[Matrix], Vector),
    f("ts_of_min_over_time", &[Matrix], Vector),
    f("vector", &[Scalar], Vector),
    opt("year", &[Vector], 1),
];

/// Older names that still work.
const ALIASES: &[(&str, &str)] = &[("holt_winters", "double_exponential_smoothing")];

/// Finds a function by name.
pub fn lookup(name: &str) -> Option<&'static Function> {
    let name = ALIASES
        .iter()
        .find(|(old, _)| *old == name)
        .map_or(name, |(_, new)| new);
    FUNCTIONS
        .binary_search_by(|f| f.name.cmp(name))
        .ok()
        .map(|i| &FUNCTIONS[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted() {
        assert!(FUNCTIONS.windows(2).all(|w| w[0].name < w[1].name));
        assert_eq!(
            lookup("holt_winters").unwrap().name,
            "double_exponential_smoothing"
        );
    }
}
