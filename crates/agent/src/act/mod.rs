//! Commands: written down, executed, told of, kept until their end is acknowledged.
//!
//! Flow: [`Commander::dispatch`] → journal (accepted) → journal (begun) → process or HTTP → journal (ended) → the
//! [`pump`] tells the server on every connection until [`Commander::acknowledged`]. It decides nothing: what may run is
//! the server's business.

mod action;
mod http;
pub(crate) mod journal;
mod output;
mod process;
mod pump;
mod user;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{Action, Command, CommandState, ToServer};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::collect::Roots;
use crate::rt;
use journal::{Entry, Journal, Leader};
use process::{Control, Program};

/// Commands that run at the same time; more wait.
const AT_ONCE: usize = 16;

#[derive(Clone)]
pub(crate) struct Commander(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    roots: Roots,
    boot_id: String,
    journal: Mutex<Journal>,
    cancels: Mutex<HashMap<String, CancellationToken>>,
    permits: Semaphore,
    link: watch::Sender<Option<mpsc::Sender<ToServer>>>,
    /// Something new can be told.
    news: Notify,
    shutdown: CancellationToken,
}

impl Commander {
    /// Opens the journal in `folder`.
    pub(crate) fn open(
        folder: &Path,
        roots: &Roots,
        boot_id: String,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        crate::state::make_folder(folder)?;
        let inner = Inner {
            folder: folder.to_owned(),
            roots: roots.clone(),
            boot_id,
            journal: Mutex::new(Journal::open(&folder.join("journal"))?),
            cancels: Mutex::default(),
            permits: Semaphore::new(AT_ONCE),
            link: watch::channel(None).0,
            news: Notify::new(),
            shutdown,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Deals with what an earlier run left, then tells the server of commands until shutdown.
    pub(crate) async fn run(self) {
        self.recover().await;
        tokio::select! {
            () = pump::run(&self) => {}
            () = self.0.shutdown.cancelled() => {}
        }
        // Groups that are being ended have the grace and a little more.
        let all = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(Duration::from_secs(7), self.0.permits.acquire_many(all)).await;
    }

    pub(crate) fn connected(&self, messages: mpsc::Sender<ToServer>) {
        self.0.link.send_replace(Some(messages));
    }

    pub(crate) fn disconnected(&self) {
        self.0.link.send_replace(None);
    }

    /// Takes a command. A repeat is answered with where the first stands.
    pub(crate) fn dispatch(&self, command: Command) {
        let this = self.clone();
        rt::spawn("command", async move { this.take(command).await });
    }

    pub(crate) fn cancel(&self, id: &str) {
        if let Some(cancel) = self.cancels().get(id) {
            cancel.cancel();
        }
    }

    /// The server has recorded the end.
    pub(crate) fn acknowledged(&self, id: &str) {
        let (this, id) = (self.clone(), id.to_owned());
        let forget = move || {
            if let Err(error) = this.journal().acknowledge(&id) {
                tracing::warn!(%error, id, "failed to note that the end of a command is known");
            }
            output::remove(&this.0.folder, &id);
        };
        drop(tokio::task::spawn_blocking(forget));
    }

    /// Commands that run or whose end is not acknowledged.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        self.journal().open_entries().map(|(id, _)| id.clone()).collect()
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancels(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.cancels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Journal writes wait for the disk, so they are made off the reactor.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Journal) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let this = self.clone();
        let written = tokio::task::spawn_blocking(move || change(&mut this.journal())).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.0.news.notify_one();
        written
    }

    async fn take(self, command: Command) {
        let accepted = {
            let command = command.clone();
            self.write(move |journal| journal.accept(command, rt::now_ms()))
                .await
        };
        match accepted {
            Ok(true) => self.execute(command).await,
            Ok(false) => self.tell_again(&command.id).await,
            Err(error) => {
                let error =
                    format!("the agent cannot write its journal of commands ({error}); is the disk full?");
                self.tell(command.id, CommandState::Failed { error }).await;
            }
        }
    }

    /// From accepted to ended. Does nothing when the journal does not let it begin.
    async fn execute(self, command: Command) {
        let id = command.id.clone();
        let cancel = CancellationToken::new();
        self.cancels().insert(id.clone(), cancel.clone());
        let state = tokio::select! {
            permit = self.0.permits.acquire() => match permit {
                Ok(_permit) => self.perform(&command, &cancel).await,
                Err(_) => None,
            },
            () = cancel.cancelled() => Some(CommandState::Cancelled { duration_ms: 0 }),
            () = self.0.shutdown.cancelled() => None,
        };
        if let Some(state) = state {
            self.end(&id, state).await;
        }
        self.cancels().remove(&id);
    }

    /// Runs the action; `None` when it must not begin or the agent shuts down.
    async fn perform(&self, command: &Command, cancel: &CancellationToken) -> Option<CommandState> {
        let id = command.id.clone();
        match self.write(move |journal| journal.begin(&id, rt::now_ms())).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                return Some(CommandState::Failed {
                    error: format!("failed to write the journal: {error}"),
                });
            }
        }
        let timeout = Duration::from_millis(command.timeout_ms.max(1));
        if let Action::Http {
            method,
            url,
            headers,
            body,
            expect_status,
        } = command.action.clone()
        {
            let request = http::Request {
                method,
                url,
                headers,
                body,
                expect_status,
            };
            let begun = std::time::Instant::now();
            return tokio::select! {
                state = http::run(request, &self.0.folder, &command.id, command.output_cap_bytes, timeout) => Some(state),
                () = cancel.cancelled() => {
                    Some(CommandState::Cancelled { duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(0) })
                }
                () = self.0.shutdown.cancelled() => None,
            };
        }
        let prepared = match action::prepare(&command.action, &self.0.roots).await {
            Ok(prepared) => prepared,
            Err(error) => return Some(CommandState::Failed { error }),
        };
        self.run_program(&prepared.program, command, timeout, cancel)
            .await
    }

    async fn run_program(
        &self,
        program: &Program,
        command: &Command,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Option<CommandState> {
        let this = self.clone();
        let control = Control {
            folder: &self.0.folder,
            id: &command.id,
            timeout,
            cap_bytes: command.output_cap_bytes,
            cancel,
            shutdown: &self.0.shutdown,
            spoke: Arc::new(move || this.0.news.notify_one()),
        };
        process::run(program, &control, |pid| {
            let started_ticks = process::started_ticks(pid).unwrap_or(0);
            let leader = Leader {
                pid,
                started_ticks,
                boot_id: self.0.boot_id.clone(),
            };
            // A page-cache write, no wait for the disk: it must outlive a kill of the agent, not of the host.
            if let Err(error) = self.journal().spawned(&command.id, leader) {
                tracing::warn!(%error, "failed to note the process of a command");
            }
        })
        .await
    }

    async fn end(&self, id: &str, state: CommandState) {
        let (key, kept) = (id.to_owned(), state.clone());
        if let Err(error) = self
            .write(move |journal| journal.end(&key, kept, rt::now_ms()))
            .await
        {
            tracing::error!(%error, id, "failed to write the end of a command to the journal");
            self.tell(id.to_owned(), state).await;
        }
    }

    /// What a killed run left: groups are ended, then each command is executed, executed again, or reported.
    async fn recover(&self) {
        let left: Vec<(String, Entry)> = {
            let journal = self.journal();
            let open = journal.open_entries().filter(|(_, entry)| !entry.state.is_end());
            open.map(|(id, entry)| (id.clone(), entry.clone())).collect()
        };
        for (id, entry) in left {
            self.end_left_over(&id, &entry).await;
            let Some(command) = entry.command else { continue };
            // A clock that was set back says nothing of how long it was.
            let waited_ms = rt::now_ms()
                .saturating_sub(entry.accepted_at_ms)
                .max(0)
                .unsigned_abs();
            let is_late = waited_ms > command.timeout_ms.max(60_000);
            match entry.state {
                CommandState::Running if !command.idempotent => {
                    self.end(&id, CommandState::Interrupted).await
                }
                _ if is_late => {
                    let error = "the agent was away for longer than the command's timeout".to_owned();
                    self.end(&id, CommandState::Failed { error }).await;
                }
                _ => {
                    let this = self.clone();
                    rt::spawn("command", async move { this.execute(*command).await });
                }
            }
        }
    }

    /// Ends what a command of a killed run has left running on this boot.
    async fn end_left_over(&self, id: &str, entry: &Entry) {
        if entry.state != CommandState::Running {
            return;
        }
        match &entry.leader {
            Some(leader) => {
                if leader.boot_id == self.0.boot_id
                    && process::started_ticks(leader.pid) == Some(leader.started_ticks)
                {
                    process::kill_left_over(leader.pid);
                }
            }
            None => {
                let (procfs, id) = (self.0.roots.procfs.clone(), id.to_owned());
                let find = move || process::find_left_over(&procfs, &id);
                if let Ok(Some(pid)) = tokio::task::spawn_blocking(find).await {
                    process::kill_left_over(pid);
                }
            }
        }
    }

    /// Tells a state on the present connection, if there is one.
    async fn tell(&self, id: String, state: CommandState) {
        let link = self.0.link.borrow().clone();
        if let Some(link) = link {
            // The connection may end at any time; what matters is in the journal.
            let _ = link
                .send(ToServer::Command {
                    id,
                    at_ms: rt::now_ms(),
                    state,
                })
                .await;
        }
    }

    async fn tell_again(&self, id: &str) {
        let state = self.journal().get(id).map(|entry| entry.state.clone());
        if let Some(state) = state {
            self.tell(id.to_owned(), state).await;
        }
    }
}
