//! Hashing and checking passwords with argon2id, off the reactor and a bounded number at once (each takes 19 MiB).

use std::sync::Arc;
use std::time::Duration;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use kernel::Problem;
use tokio::sync::{OnceCell, Semaphore};

const AT_ONCE: usize = 4;
const WAIT: Duration = Duration::from_secs(10);

/// The workbench for passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    /// For browsers that were used before: strangers who guess do not make them wait.
    reserved: Arc<Semaphore>,
    /// The hash that an unknown login is checked against, so that it takes as long as a known one.
    decoy: Arc<OnceCell<String>>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            reserved: Arc::new(Semaphore::new(1)),
            decoy: Arc::default(),
        }
    }
}

impl Passwords {
    /// A PHC string (`$argon2id$v=19$…`).
    pub async fn hash(&self, password: &str) -> Result<String, Problem> {
        let password = password.to_owned();
        self.work(&self.slots, move || {
            Argon2::default()
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(Problem::internal)
        })
        .await?
    }

    /// Is it the password of `hash`? Without a hash the answer is no, after the same time.
    pub async fn is_right(
        &self,
        password: &str,
        hash: Option<&str>,
        is_known_device: bool,
    ) -> Result<bool, Problem> {
        let decoy = self
            .decoy
            .get_or_try_init(|| async { self.hash(&kernel::secret::random_hex(16)).await })
            .await?;
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(decoy).to_owned();
        let password = password.to_owned();
        let slots = if is_known_device {
            &self.reserved
        } else {
            &self.slots
        };
        let matches = self
            .work(slots, move || {
                Argon2::default()
                    .verify_password(password.as_bytes(), hash.as_str())
                    .is_ok()
            })
            .await?;
        Ok(matches && is_known)
    }

    async fn work<T: Send + 'static>(
        &self,
        slots: &Arc<Semaphore>,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let slot = tokio::time::timeout(WAIT, slots.clone().acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            return Err(Problem::unavailable(
                "too many people sign in at once; try again in a few seconds",
                5,
            ));
        };
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            body()
        })
        .await
        .map_err(Problem::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_opens() {
        let passwords = Passwords::default();
        let hash = passwords.hash("seven green bicycles").await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(
            passwords
                .is_right("seven green bicycles", Some(&hash), false)
                .await
                .unwrap()
        );
        assert!(!passwords.is_right("seven", Some(&hash), false).await.unwrap());
        assert!(
            !passwords
                .is_right("seven green bicycles", None, false)
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn strangers_who_guess_do_not_make_a_known_browser_wait() {
        let passwords = Passwords::default();
        let hash = passwords.hash("seven green bicycles").await.unwrap();
        passwords.is_right("seven", None, false).await.unwrap();
        let _all = passwords
            .slots
            .clone()
            .acquire_many_owned(AT_ONCE as u32)
            .await
            .unwrap();
        let known = passwords.is_right("seven green bicycles", Some(&hash), true);
        assert!(known.await.unwrap());
    }
}
