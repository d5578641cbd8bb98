//! A scripted agent: it keeps a journal like the real one, does what a test says for each command, and comes back when the server dies.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::{Action, Command, CommandState, Stream, ToAgent, ToServer};
use testkit::FakeAgent;
use testkit::agent::{FakeLink, identity};
use tokio_util::sync::CancellationToken;

use crate::kit::{House, until};

/// What a command comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Ends with this exit code.
    End(i32),
    /// Runs until the test lets go of it, or it is cancelled.
    Hold,
    /// Takes longer than it may.
    TimeOut,
    /// The agent dies in the middle of it, and is back at once.
    Die,
}

type Script = Arc<dyn Fn(&str, usize) -> Fate + Send + Sync>;

#[derive(Default)]
struct Journal {
    /// By id: the command, and its end if it has one.
    entries: BTreeMap<String, (Command, Option<CommandState>)>,
    /// Labels of what was begun, in order.
    begun: Vec<String>,
    /// Commands that the agent was asked to cancel.
    cancelled: Vec<String>,
}

#[derive(Clone)]
pub struct Robot {
    pub name: String,
    /// Id of the host.
    pub item: String,
    journal: Arc<Mutex<Journal>>,
    script: Script,
    /// Cuts the connection, so that news is told on a new one.
    nudge: Arc<Mutex<CancellationToken>>,
}

/// What a test calls a command: its program and arguments, its script, or its service.
pub fn label(action: &Action) -> String {
    match action {
        Action::Exec { argv, .. } => argv.join(" "),
        Action::Script { script, .. } => script.trim().to_owned(),
        Action::Service { name, verb } => format!("{verb:?} {name}").to_lowercase(),
        Action::Http { method, url, .. } => format!("{method:?} {url}").to_lowercase(),
    }
}

impl House {
    /// A host `web-<n>` whose agent ends everything well.
    pub async fn robot(&self, n: u32) -> Robot {
        self.robot_with(n, &[("env", "prod")], None, |_, _| Fate::End(0))
            .await
    }

    /// `script` is given the label of a command and how many of that label came before.
    pub async fn robot_with(
        &self,
        n: u32,
        tags: &[(&str, &str)],
        team: Option<&str>,
        script: impl Fn(&str, usize) -> Fate + Send + Sync + 'static,
    ) -> Robot {
        let name = format!("web-{n}");
        let token = self.token(tags, team).await;
        let agent = FakeAgent::join(&token, &name, identity(n)).await.unwrap();
        let joined = until("the host", async || {
            let all = self.events("agent.joined").await;
            all.into_iter().find(|event| event.subject == agent.id)
        })
        .await;
        let robot = Robot {
            item: joined.data["item_id"].as_str().unwrap().to_owned(),
            name,
            journal: Arc::default(),
            script: Arc::new(script),
            nudge: Arc::default(),
        };
        let life = robot.clone();
        #[expect(clippy::disallowed_methods, reason = "the agent is outside of the server")]
        tokio::spawn(async move { life.live(agent).await });
        robot
    }
}

impl Robot {
    /// Labels of what was begun, in order.
    pub fn begun(&self) -> Vec<String> {
        self.journal.lock().unwrap().begun.clone()
    }

    pub fn count(&self, label: &str) -> usize {
        self.begun().iter().filter(|one| *one == label).count()
    }

    pub fn cancelled(&self) -> Vec<String> {
        self.journal.lock().unwrap().cancelled.clone()
    }

    /// The environment that a command got.
    pub fn environment(&self, wanted: &str) -> BTreeMap<String, String> {
        let journal = self.journal.lock().unwrap();
        let mut actions = journal.entries.values().map(|(command, _)| &command.action);
        match actions.find(|action| label(action) == wanted) {
            Some(Action::Exec { env, .. } | Action::Script { env, .. }) => env.clone(),
            other => panic!("{wanted} has no environment: {other:?}"),
        }
    }

    pub async fn until_begun(&self, label: &str, count: usize) {
        until(&format!("{count} × {label} on {}", self.name), async || {
            (self.count(label) >= count).then_some(())
        })
        .await;
    }

    /// Ends commands that are held.
    pub fn release(&self, wanted: &str, exit_code: i32) {
        let mut journal = self.journal.lock().unwrap();
        for (command, end) in journal.entries.values_mut() {
            if end.is_none() && label(&command.action) == wanted {
                *end = Some(exited(exit_code));
            }
        }
        drop(journal);
        self.nudge.lock().unwrap().cancel();
    }

    async fn live(self, mut agent: FakeAgent) {
        loop {
            agent.running = self.journal.lock().unwrap().entries.keys().cloned().collect();
            let Ok(mut link) = agent.connect().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            self.talk(&mut link).await;
        }
    }

    /// Until the connection ends, or the agent dies.
    async fn talk(&self, link: &mut FakeLink) {
        let mut nudge = self.fresh_nudge();
        if self.tell_all(link).await.is_none() {
            return;
        }
        loop {
            let message = tokio::select! {
                message = link.next() => message,
                () = nudge.cancelled() => {
                    nudge = self.fresh_nudge();
                    if self.tell_all(link).await.is_none() {
                        return;
                    }
                    continue;
                }
            };
            let is_fine = match message {
                None => return,
                Some(ToAgent::Dispatch(command)) => self.take(link, command).await,
                Some(ToAgent::Cancel { id }) => self.cancel(link, &id).await,
                Some(ToAgent::CommandAck { id }) => {
                    self.journal.lock().unwrap().entries.remove(&id);
                    Some(())
                }
                Some(_) => Some(()),
            };
            if is_fine.is_none() {
                return;
            }
        }
    }

    fn fresh_nudge(&self) -> CancellationToken {
        let fresh = CancellationToken::new();
        *self.nudge.lock().unwrap() = fresh.clone();
        fresh
    }

    /// Says where every command stands.
    async fn tell_all(&self, link: &FakeLink) -> Option<()> {
        let all: Vec<_> = {
            let journal = self.journal.lock().unwrap();
            let state = |end: &Option<CommandState>| end.clone().unwrap_or(CommandState::Running);
            let entries = journal.entries.iter();
            entries.map(|(id, (_, end))| (id.clone(), state(end))).collect()
        };
        for (id, state) in all {
            tell(link, &id, state).await?;
        }
        Some(())
    }

    async fn take(&self, link: &FakeLink, command: Command) -> Option<()> {
        let (id, name) = (command.id.clone(), label(&command.action));
        let known = {
            let journal = self.journal.lock().unwrap();
            journal.entries.get(&id).map(|(_, end)| end.clone())
        };
        if let Some(end) = known {
            return tell(link, &id, end.unwrap_or(CommandState::Running)).await;
        }
        let fate = {
            let mut journal = self.journal.lock().unwrap();
            let before = journal.begun.iter().filter(|one| **one == name).count();
            journal.begun.push(name.clone());
            journal.entries.insert(id.clone(), (command.clone(), None));
            (self.script)(&name, before)
        };
        tell(link, &id, CommandState::Accepted).await?;
        tell(link, &id, CommandState::Running).await?;
        match fate {
            Fate::Hold => {}
            Fate::End(code) => {
                self.set_end(&id, exited(code));
                let output = ToServer::Output {
                    id: id.clone(),
                    stream: Stream::Stdout,
                    offset: 0,
                    data: format!("{name}\n").into_bytes(),
                };
                link.send(&output).await.ok()?;
                tell(link, &id, exited(code)).await?;
            }
            Fate::TimeOut => {
                self.set_end(&id, CommandState::TimedOut { duration_ms: 1 });
                tell(link, &id, CommandState::TimedOut { duration_ms: 1 }).await?;
            }
            Fate::Die => {
                // As the real one after its restart: it begins again what may be, and owns up to the rest.
                let mut journal = self.journal.lock().unwrap();
                if command.idempotent {
                    journal.begun.push(name);
                    journal.entries.get_mut(&id)?.1 = Some(exited(0));
                } else {
                    journal.entries.get_mut(&id)?.1 = Some(CommandState::Interrupted);
                }
                return None;
            }
        }
        Some(())
    }

    async fn cancel(&self, link: &FakeLink, id: &str) -> Option<()> {
        let is_running = {
            let mut journal = self.journal.lock().unwrap();
            let running = journal.entries.get(id).filter(|(_, end)| end.is_none());
            let name = running.map(|(command, _)| label(&command.action));
            journal.cancelled.extend(name.clone());
            name.is_some()
        };
        if is_running {
            let end = CommandState::Cancelled { duration_ms: 1 };
            self.set_end(id, end.clone());
            tell(link, id, end).await?;
        }
        Some(())
    }

    fn set_end(&self, id: &str, state: CommandState) {
        if let Some(entry) = self.journal.lock().unwrap().entries.get_mut(id) {
            entry.1 = Some(state);
        }
    }
}

async fn tell(link: &FakeLink, id: &str, state: CommandState) -> Option<()> {
    let id = id.to_owned();
    let message = ToServer::Command { id, at_ms: 1, state };
    link.send(&message).await.ok()
}

fn exited(exit_code: i32) -> CommandState {
    CommandState::Exited {
        exit_code: Some(exit_code),
        signal: None,
        duration_ms: 1,
        dropped_bytes: 0,
    }
}
