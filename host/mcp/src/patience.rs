//! How long an answer is waited for: begins anew with progress, and stands still while somebody is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// However much progress there is, and however long somebody thinks: nothing waits longer than this beyond its limit.
const MOST: Duration = Duration::from_secs(3600);

struct State {
    until: Instant,
    /// How much was left when the first of those who are asked now was asked.
    left: Duration,
    asked: usize,
}

/// The patience for one request; shared by whoever waits and whoever hears of its progress.
pub struct Patience {
    limit: Duration,
    last: Instant,
    state: Mutex<State>,
    changed: Notify,
}

/// Somebody is asked; the wait goes on when this is dropped.
pub struct Pause(Arc<Patience>);

impl Patience {
    /// Patience for a time without any sign of life.
    pub fn of(limit: Duration) -> Arc<Self> {
        let (now, left) = (Instant::now(), limit);
        let state = Mutex::new(State { until: now + limit, left, asked: 0 });
        Arc::new(Self { limit, last: now + limit + MOST, state, changed: Notify::new() })
    }

    pub fn limit(&self) -> Duration {
        self.limit
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is progress: the time begins anew.
    pub fn again(&self) {
        let mut state = self.state();
        (state.until, state.left) = (Instant::now() + self.limit, self.limit);
    }

    /// Stand still for as long as the pause is held.
    pub fn pause(self: &Arc<Self>) -> Pause {
        let mut state = self.state();
        if state.asked == 0 {
            state.left = state.until.saturating_duration_since(Instant::now());
        }
        state.asked += 1;
        drop(state);
        self.changed.notify_waiters();
        Pause(Arc::clone(self))
    }

    /// Ends when the time is up.
    pub async fn over(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let until = {
                let state = self.state();
                if state.asked > 0 { self.last } else { state.until.min(self.last) }
            };
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = changed => {}
            }
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.asked = state.asked.saturating_sub(1);
        if state.asked == 0 {
            state.until = Instant::now() + state.left;
        }
        drop(state);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn ends_after(patience: &Patience, since: Instant) -> u64 {
        patience.over().await;
        since.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_at_its_limit_and_progress_begins_it_anew() {
        let (patience, since) = (Patience::of(LIMIT), Instant::now());
        assert_eq!(ends_after(&patience, since).await, 10);
        let (patience, since) = (Patience::of(LIMIT), Instant::now());
        let (end, ()) = tokio::join!(ends_after(&patience, since), async {
            tokio::time::sleep(Duration::from_secs(8)).await;
            patience.again();
        });
        assert_eq!(end, 18);
    }

    #[tokio::test(start_paused = true)]
    async fn it_stands_still_while_somebody_is_asked_but_not_for_ever() {
        let (patience, since) = (Patience::of(LIMIT), Instant::now());
        let (end, ()) = tokio::join!(ends_after(&patience, since), async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            let (first, second) = (patience.pause(), patience.pause());
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(first);
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(second);
        });
        assert_eq!(end, 210);
        let (patience, since) = (Patience::of(LIMIT), Instant::now());
        let _held = patience.pause();
        assert_eq!(ends_after(&patience, since).await, 10 + MOST.as_secs());
    }
}
