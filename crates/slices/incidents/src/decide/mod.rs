//! The rules of incidents, as pure functions: which alerts belong together ([`group`]), and what a person may do when ([`step`]).

pub mod group;
pub mod terrain;

use crate::model::State;

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Acknowledge,
    Mitigate,
    Resolve,
    Reopen,
    Close,
}

/// The state after a command; `None` when it is so already; an error in words when it cannot be.
pub fn step(state: State, command: Command) -> Result<Option<State>, &'static str> {
    use Command::{Acknowledge, Close, Mitigate, Reopen, Resolve};
    use State::{Acknowledged, Closed, Mitigated, Resolved, Triggered};
    match (command, state) {
        (Acknowledge, Triggered) => Ok(Some(Acknowledged)),
        (Mitigate, Triggered | Acknowledged) => Ok(Some(Mitigated)),
        (Resolve, Triggered | Acknowledged | Mitigated) => Ok(Some(Resolved)),
        (Reopen, Resolved | Closed) => Ok(Some(Triggered)),
        (Close, Resolved) => Ok(Some(Closed)),
        (Acknowledge, Acknowledged | Mitigated)
        | (Mitigate, Mitigated)
        | (Resolve, Resolved | Closed)
        | (Reopen, Triggered | Acknowledged | Mitigated)
        | (Close, Closed) => Ok(None),
        (Acknowledge | Mitigate, Resolved | Closed) => Err("the incident is resolved; reopen it first"),
        (Close, Triggered | Acknowledged | Mitigated) => Err("the incident is open; resolve it first"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_an_answer_in_every_state_and_is_idempotent() {
        for command in [
            Command::Acknowledge,
            Command::Mitigate,
            Command::Resolve,
            Command::Reopen,
            Command::Close,
        ] {
            for state in State::ALL {
                if let Ok(Some(next)) = step(state, command) {
                    assert_ne!(next, state);
                    assert_eq!(step(next, command), Ok(None), "{command:?} twice from {state:?}");
                }
            }
        }
    }
}
