//! Runs the field's own test vectors and holds the number that pass in each file.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod check;
mod notation;
mod script;
mod store;

use std::fmt::Write as _;
use std::path::Path;

use check::Verdict;
use script::Command;
use store::Store;

/// Evaluations that pass and that are skipped (native histograms and start times) in each file. Raise, never lower.
const COUNTS: [(&str, usize, usize); 21] = [
    ("aggregators", 62, 18),
    ("at_modifier", 39, 0),
    ("collision", 1, 0),
    ("duration_expression", 30, 0),
    ("extended_vectors", 60, 25),
    ("fill-modifier", 23, 0),
    ("functions", 159, 57),
    ("histograms", 57, 36),
    ("info", 26, 1),
    ("limit", 0, 19),
    ("literals", 13, 0),
    ("name_label_dropping", 15, 0),
    ("native_histograms", 1, 260),
    ("operators", 71, 36),
    ("range_queries", 8, 1),
    ("selectors", 16, 0),
    ("staleness", 9, 0),
    ("start_timestamps", 0, 14),
    ("subquery", 16, 1),
    ("trig_functions", 10, 0),
    ("type_and_unit", 29, 0),
];

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    report: String,
}

fn run(text: &str) -> Tally {
    let mut tally = Tally::default();
    let mut store = Store::default();
    for command in script::commands(text) {
        match command {
            Command::Clear => store = Store::default(),
            Command::Load { step_ms, lines, nhcb } => store.load(step_ms, &lines, nhcb),
            Command::Eval(case) => match check::run(&store, &case) {
                Verdict::Passed => tally.passed += 1,
                Verdict::Skipped => tally.skipped += 1,
                Verdict::Failed(why) => {
                    tally.failed += 1;
                    writeln!(tally.report, "  line {}: {}\n    {why}", case.line, case.expr).unwrap();
                }
            },
        }
    }
    tally
}

#[test]
fn the_fields_own_vectors() {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../../shared/data/promqltest"
    ));
    if !folder.is_dir() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing",
            folder.display()
        );
        println!("skipped: {} is missing", folder.display());
        return;
    }
    let mut wrong = String::new();
    let mut sum = (0, 0, 0);
    for (name, passes, skips) in COUNTS {
        let text = std::fs::read_to_string(folder.join(format!("{name}.test"))).expect("test file");
        let tally = run(&text);
        let found = (tally.passed, tally.failed, tally.skipped);
        println!(
            "{name}: {} passed, {} failed, {} skipped\n{}",
            found.0, found.1, found.2, tally.report
        );
        sum = (sum.0 + found.0, sum.1 + found.1, sum.2 + found.2);
        if (tally.passed, tally.skipped) != (passes, skips) {
            writeln!(wrong, "    (\"{name}\", {}, {}),", tally.passed, tally.skipped).unwrap();
        }
    }
    println!("all: {} passed, {} failed, {} skipped", sum.0, sum.1, sum.2);
    assert!(wrong.is_empty(), "other counts than recorded:\n{wrong}");
}

#[test]
fn our_own_vectors() {
    let tally = run(include_str!("own.test"));
    assert_eq!(
        (tally.passed, tally.failed, tally.skipped),
        (63, 0, 0),
        "\n{}",
        tally.report
    );
}
