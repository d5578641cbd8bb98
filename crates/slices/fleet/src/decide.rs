//! Rules without I/O: how a command moves on, and what a batch number means.

use crate::model::State;

/// What a report of the agent does to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing new.
    Stay,
    Move(State),
    /// The end of a command that had been given up: recorded, but its finish was told already.
    Late(State),
}

/// Reports may come twice and late; a command ends once.
pub fn step(now: State, reported: State) -> Step {
    match (now, reported) {
        (State::Lost | State::Expired, end) if end.is_end() => Step::Late(end),
        (now, _) if now.is_end() => Step::Stay,
        (_, end) if end.is_end() => Step::Move(end),
        (State::Queued, State::Accepted | State::Running) => Step::Move(reported),
        (State::Accepted, State::Running) => Step::Move(reported),
        _ => Step::Stay,
    }
}

/// What is known of a join whose host is in the inventory already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim {
    /// The connection proved the key of the host's agent.
    pub has_key: bool,
    /// The host's agent is there, or was a moment ago.
    pub is_live: bool,
    /// Nothing that was shown speaks against the two being one machine.
    pub is_same_machine: bool,
    /// The host is within the team and tags of the token.
    pub is_covered: bool,
    /// Somebody who covers the host has approved this very join.
    pub is_approved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    Adopt,
    /// It is another machine: a host of its own.
    Separate,
    Ask(WaitReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    Live,
    Foreign,
}

impl WaitReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Foreign => "foreign",
        }
    }

    /// For the machine that joins.
    pub fn text(self, host: &str) -> String {
        match self {
            Self::Live => format!("the host {host} has the same identity and its agent is connected"),
            Self::Foreign => {
                format!(
                    "the host {host} has the same identity, and the join token does not cover its team and tags"
                )
            }
        }
    }
}

/// Whether a join takes over the host that shows its identity. Keys such as the machine id are public: alone they give neither
/// a live host nor one outside of the token's scope.
pub fn takeover(claim: &Claim) -> Takeover {
    let Claim {
        has_key,
        is_live,
        is_same_machine,
        is_covered,
        is_approved,
    } = *claim;
    if is_approved || (has_key && (is_same_machine || !is_live)) {
        Takeover::Adopt
    } else if is_live && !is_same_machine {
        Takeover::Separate
    } else if is_live {
        Takeover::Ask(WaitReason::Live)
    } else if is_covered {
        Takeover::Adopt
    } else {
        Takeover::Ask(WaitReason::Foreign)
    }
}

/// Has this batch been taken before? Numbers rise over the life of an enrolment; an agent whose folder was restored from a
/// backup counts from an old number again, but its clock has moved on.
pub fn is_replay(taken_seq: u64, taken_at_ms: i64, seq: u64, at_ms: i64) -> bool {
    seq <= taken_seq && at_ms <= taken_at_ms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [State; 10] = [
        State::Queued,
        State::Accepted,
        State::Running,
        State::Exited,
        State::Failed,
        State::TimedOut,
        State::Cancelled,
        State::Interrupted,
        State::Expired,
        State::Lost,
    ];

    #[test]
    fn commands_move_forward_only() {
        for (now, reported, want) in [
            (State::Queued, State::Accepted, Step::Move(State::Accepted)),
            (State::Queued, State::Exited, Step::Move(State::Exited)),
            (State::Running, State::Accepted, Step::Stay),
            (State::Accepted, State::Running, Step::Move(State::Running)),
            (State::Exited, State::Exited, Step::Stay),
            (State::Cancelled, State::Exited, Step::Stay),
            (State::Lost, State::Exited, Step::Late(State::Exited)),
            (State::Lost, State::Running, Step::Stay),
        ] {
            assert_eq!(step(now, reported), want, "{now:?} {reported:?}");
        }
    }

    proptest! {
        /// However reports are repeated and mixed up, a command finishes at most once.
        #[test]
        fn a_command_finishes_once(reports in prop::collection::vec(prop::sample::select(ALL[1..8].to_vec()), 0..20)) {
            let mut now = State::Queued;
            let mut finishes = 0;
            for reported in reports {
                if let Step::Move(next) = step(now, reported) {
                    finishes += usize::from(next.is_end());
                    now = next;
                }
            }
            prop_assert!(finishes <= 1);
            prop_assert_eq!(finishes == 1, now.is_end());
        }
    }

    #[test]
    fn public_keys_alone_take_over_nothing_live_or_foreign() {
        for bits in 0u8..32 {
            let bit = |n: u8| bits & (1 << n) != 0;
            let claim = Claim {
                has_key: bit(0),
                is_live: bit(1),
                is_same_machine: bit(2),
                is_covered: bit(3),
                is_approved: bit(4),
            };
            let outcome = takeover(&claim);
            if outcome == Takeover::Adopt {
                let has_right = claim.has_key || claim.is_approved || (claim.is_covered && !claim.is_live);
                assert!(has_right, "{claim:?}");
            }
            if claim.is_live && !claim.is_same_machine && !claim.is_approved {
                assert_eq!(
                    outcome,
                    Takeover::Separate,
                    "a copy beside its original: {claim:?}"
                );
            }
        }
    }

    #[test]
    fn a_restored_agent_is_no_replay() {
        assert!(is_replay(10, 5000, 10, 5000));
        assert!(is_replay(10, 5000, 3, 4000));
        assert!(!is_replay(10, 5000, 11, 4000), "a step of the clock");
        assert!(!is_replay(10, 5000, 3, 9000), "a restored folder");
    }
}
