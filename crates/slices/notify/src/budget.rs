//! How many messages a recipient gets: token buckets for each recipient of a channel and for each source, in memory.
//!
//! What there is a token for is sent at once. When more waits than there are tokens, the last token pays for one message that
//! bundles the rest: nothing is dropped, nothing is sent one by one for hours. A source has buckets of its own, so that a flood of
//! one does not take the tokens of another; urgent pages have a reserve beside the recipient's bucket.
//!
//! Pure: the caller gives the time. A clock that steps back costs no tokens, one that steps forward fills a bucket at most.

use std::collections::{BTreeMap, HashMap, HashSet};

/// Tokens at most, and tokens per minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub burst: f64,
    pub per_minute: f64,
}

/// What the recipients of a channel get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    pub whole: Rate,
    pub source: Rate,
    /// For critical pages when the whole is spent.
    pub reserve: Rate,
}

impl Rates {
    /// A person reads mails and chats; a webhook is read by a program.
    pub fn of(channel_kind: &str) -> Self {
        let (burst, per_minute) = match channel_kind {
            "webhook" => (100.0, 60.0),
            _ => (30.0, 12.0),
        };
        let share = Rate {
            burst: burst / 3.0,
            per_minute: per_minute / 2.0,
        };
        Self {
            whole: Rate { burst, per_minute },
            source: share,
            reserve: share,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at_us: i64,
}

impl Bucket {
    fn refill(&mut self, rate: Rate, now_us: i64) {
        let passed_us = now_us.saturating_sub(self.at_us).max(0);
        let gained = passed_us as f64 / 60e6 * rate.per_minute;
        self.tokens = (self.tokens + gained).min(rate.burst);
        self.at_us = now_us;
    }
}

/// A message that could be sent now.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub target: String,
    pub source: String,
    pub is_critical: bool,
    /// It was tried before: its token is spent.
    pub is_paid: bool,
}

/// What was never tried, of one source for one recipient.
#[derive(Clone, Debug, PartialEq)]
pub struct Backlog {
    pub target: String,
    pub source: String,
    pub count: u64,
}

/// What becomes one message: all that waits for a recipient, of one source or of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pub target: String,
    pub source: Option<String>,
}

#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Indexes of the candidates that are sent.
    pub send: Vec<usize>,
    pub bundles: Vec<Bundle>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Whole(String, String),
    Reserve(String, String),
    Source(String, String, String),
}

/// The buckets of all recipients.
#[derive(Debug, Default)]
pub struct Budget {
    buckets: HashMap<Key, Bucket>,
}

/// Buckets that are full say nothing; they are dropped when there are more than this.
const BUCKETS_MAX: usize = 10_000;

impl Budget {
    fn tokens(&mut self, key: Key, rate: Rate, now_us: i64) -> &mut f64 {
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            tokens: rate.burst,
            at_us: now_us,
        });
        bucket.refill(rate, now_us);
        &mut bucket.tokens
    }

    /// Decides for one channel; `candidates` in the order of their claim, at most `room` messages.
    pub fn plan(
        &mut self,
        channel: &str,
        rates: &Rates,
        (candidates, backlog): (&[Candidate], &[Backlog]),
        room: usize,
        now_us: i64,
    ) -> Plan {
        let mut round = Round {
            channel,
            rates,
            now_us,
            left: BTreeMap::new(),
            of_source: BTreeMap::new(),
            closed: HashSet::new(),
            plan: Plan::default(),
        };
        for waiting in backlog {
            *round.left.entry(&waiting.target).or_default() += waiting.count;
            round
                .of_source
                .insert((&waiting.target, &waiting.source), waiting.count);
        }
        for (index, candidate) in candidates.iter().enumerate() {
            if round.plan.send.len() + round.plan.bundles.len() >= room {
                break;
            }
            if candidate.is_paid {
                round.plan.send.push(index);
            } else {
                round.consider(self, index, candidate);
            }
        }
        let plan = round.plan;
        if self.buckets.len() > BUCKETS_MAX {
            self.forget_full(rates, now_us);
        }
        plan
    }

    fn forget_full(&mut self, rates: &Rates, now_us: i64) {
        self.buckets.retain(|key, bucket| {
            let rate = match key {
                Key::Whole(..) => rates.whole,
                Key::Reserve(..) => rates.reserve,
                Key::Source(..) => rates.source,
            };
            bucket.refill(rate, now_us);
            bucket.tokens < rate.burst
        });
    }
}

/// One decision under way.
struct Round<'a> {
    channel: &'a str,
    rates: &'a Rates,
    now_us: i64,
    /// Never tried and not yet decided, by recipient.
    left: BTreeMap<&'a str, u64>,
    of_source: BTreeMap<(&'a str, &'a str), u64>,
    /// Bundled in this round: a recipient's sources, and recipients as a whole (`None`).
    closed: HashSet<(&'a str, Option<&'a str>)>,
    plan: Plan,
}

impl<'a> Round<'a> {
    fn consider(&mut self, budget: &mut Budget, index: usize, candidate: &'a Candidate) {
        let (target, source) = (candidate.target.as_str(), candidate.source.as_str());
        if self.closed.contains(&(target, Some(source))) {
            return;
        }
        let key = |kind: fn(String, String) -> Key| kind(self.channel.to_owned(), target.to_owned());
        let source_key = Key::Source(self.channel.to_owned(), target.to_owned(), source.to_owned());
        let (whole_key, reserve_key) = (key(Key::Whole), key(Key::Reserve));
        let of_source = *budget.tokens(source_key.clone(), self.rates.source, self.now_us);
        let whole = *budget.tokens(whole_key.clone(), self.rates.whole, self.now_us);
        let reserve = *budget.tokens(reserve_key.clone(), self.rates.reserve, self.now_us);
        if of_source < 1.0 {
            return;
        }
        let waits = self.of_source.get(&(target, source)).copied().unwrap_or(1);
        let all = self.left.get(target).copied().unwrap_or(1);
        let is_whole_closed = self.closed.contains(&(target, None));
        let is_last = |tokens: f64, waiting: u64| tokens < 2.0 && waiting > 1;
        let pays = if whole >= 1.0
            && !is_whole_closed
            && !(is_last(whole, all) && candidate.is_critical && reserve >= 1.0)
        {
            whole_key
        } else if candidate.is_critical && reserve >= 1.0 {
            reserve_key
        } else {
            return;
        };
        let is_from_whole = matches!(pays, Key::Whole(..));
        for (key, rate) in [
            (source_key, self.rates.source),
            (
                pays,
                if is_from_whole {
                    self.rates.whole
                } else {
                    self.rates.reserve
                },
            ),
        ] {
            *budget.tokens(key, rate, self.now_us) -= 1.0;
        }
        if is_from_whole && is_last(whole, all) {
            self.close(target, None);
        } else if is_last(of_source, waits) {
            self.close(target, Some(source));
            self.count_off(target, source, waits);
        } else {
            self.plan.send.push(index);
            self.count_off(target, source, 1);
        }
    }

    fn close(&mut self, target: &'a str, source: Option<&'a str>) {
        self.closed.insert((target, source));
        self.plan.bundles.push(Bundle {
            target: target.to_owned(),
            source: source.map(str::to_owned),
        });
    }

    fn count_off(&mut self, target: &'a str, source: &'a str, n: u64) {
        if let Some(left) = self.left.get_mut(target) {
            *left = left.saturating_sub(n);
        }
        if let Some(left) = self.of_source.get_mut(&(target, source)) {
            *left = left.saturating_sub(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(source: &str, is_critical: bool) -> Candidate {
        Candidate {
            target: "ann".into(),
            source: source.into(),
            is_critical,
            is_paid: false,
        }
    }

    fn backlog(source: &str, count: u64) -> Backlog {
        Backlog {
            target: "ann".into(),
            source: source.into(),
            count,
        }
    }

    #[test]
    fn a_flood_of_one_source_is_some_messages_and_one_bundle() {
        let mut budget = Budget::default();
        let rates = Rates::of("email");
        let flood: Vec<_> = (0..50).map(|_| candidate("rule", false)).collect();
        let plan = budget.plan("c", &rates, (&flood, &[backlog("rule", 481)]), 64, 0);
        assert_eq!(plan.send.len(), 9);
        let bundle = Bundle {
            target: "ann".into(),
            source: Some("rule".into()),
        };
        assert_eq!(plan.bundles, std::slice::from_ref(&bundle));
        let plan = budget.plan("c", &rates, (&flood, &[backlog("rule", 50)]), 64, 1_000_000);
        assert_eq!(plan, Plan::default());
        // Another source is not held up.
        let other = [candidate("rule", false), candidate("other", false)];
        let waiting = [backlog("rule", 50), backlog("other", 1)];
        assert_eq!(
            budget.plan("c", &rates, (&other, &waiting), 64, 1_000_000).send,
            [1]
        );
        let plan = budget.plan("c", &rates, (&flood, &[backlog("rule", 50)]), 64, 12_000_000);
        assert_eq!((plan.send.len(), plan.bundles), (0, vec![bundle]));
    }

    #[test]
    fn a_flood_of_many_sources_is_bounded_and_critical_pages_have_a_reserve() {
        let mut budget = Budget::default();
        let rates = Rates::of("email");
        let names: Vec<String> = (0..500).map(|n| format!("source {n}")).collect();
        let flood: Vec<_> = names.iter().map(|name| candidate(name, false)).collect();
        let waiting: Vec<_> = names.iter().map(|name| backlog(name, 1)).collect();
        let plan = budget.plan("c", &rates, (&flood, &waiting), 1_000, 0);
        assert_eq!(plan.send.len(), 29);
        assert_eq!(plan.bundles.len(), 1);
        assert_eq!(plan.bundles[0].source, None);
        let urgent = [candidate("quiet", true)];
        let plan = budget.plan("c", &rates, (&urgent, &[backlog("quiet", 1)]), 1_000, 0);
        assert_eq!(plan.send, [0]);
    }

    #[test]
    fn a_clock_that_steps_neither_takes_tokens_nor_gives_more_than_a_burst() {
        let mut budget = Budget::default();
        let rates = Rates::of("email");
        let mut sent = 0;
        for (n, hours) in [0_i64, -2, 2, 48, -48].into_iter().enumerate() {
            let now = hours * 3_600_000_000;
            let names: Vec<String> = (0..100).map(|s| format!("{n} {s}")).collect();
            for name in &names {
                let one = [candidate(name, false)];
                sent += budget
                    .plan("c", &rates, (&one, &[backlog(name, 1)]), 64, now)
                    .send
                    .len();
            }
        }
        assert!((60..=90).contains(&sent), "{sent}");
    }
}
