//! What the user asked for and is not yet done, in order.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;

/// A queue that one thread works off. It is as long as what the user asked for.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

enum State<T> {
    Waiting(VecDeque<T>),
    Stopped,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State::Waiting(VecDeque::new())), changed: Condvar::new() }
    }
}

impl<T> Queue<T> {
    /// Asks for something more; nothing is taken in any more once the queue has stopped.
    pub(super) fn push(&self, item: T) {
        if let State::Waiting(items) = &mut *self.state.lock() {
            items.push_back(item);
        }
        self.changed.notify_one();
    }

    /// Ends the thread at its next turn, and drops what waits.
    pub(super) fn stop(&self) {
        *self.state.lock() = State::Stopped;
        self.changed.notify_all();
    }

    /// Waits for something to do; `None` once the queue has stopped.
    pub(super) fn next(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            match &mut *state {
                State::Stopped => return None,
                State::Waiting(items) => {
                    if let Some(item) = items.pop_front() {
                        return Some(item);
                    }
                }
            }
            self.changed.wait(&mut state);
        }
    }
}
