//! The workers of an alignment: pieces of work in order, on all threads of a pool, results in order.

use super::strips::Scratch;
use crate::error::{Error, Result};
use crate::mosaic::AlignWatch;
use crate::pyramid::Cancel;
use parking_lot::Mutex;
use rayon::ThreadPool;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The threads that an alignment runs on, with whom it tells and who may stop it.
pub struct Team<'a> {
    pool: &'a ThreadPool,
    watch: &'a dyn AlignWatch,
    cancel: &'a Cancel,
    scratches: Mutex<Vec<Scratch>>,
    done: AtomicU64,
    total: AtomicU64,
}

impl<'a> Team<'a> {
    /// Nothing done yet.
    pub fn new(pool: &'a ThreadPool, watch: &'a dyn AlignWatch, cancel: &'a Cancel) -> Self {
        Self { pool, watch, cancel, scratches: Mutex::default(), done: AtomicU64::new(0), total: AtomicU64::new(1) }
    }

    /// What stops the work.
    pub fn cancel(&self) -> &'a Cancel {
        self.cancel
    }

    /// Whom to tell.
    pub fn watch(&self) -> &'a dyn AlignWatch {
        self.watch
    }

    /// Expects so many pieces of work from here on.
    pub fn expect(&self, pieces: usize) {
        self.total.store(self.done.load(Ordering::Relaxed) + pieces as u64, Ordering::Relaxed);
    }

    /// Does all pieces, begun in order; the results come in order, whichever thread was first.
    ///
    /// The first error ends the work of all threads.
    pub fn run<R: Send>(
        &self,
        pieces: usize,
        work: impl Fn(&mut Scratch, usize) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<R>>> = Mutex::new((0..pieces).map(|_| None).collect());
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        let turn = || {
            let mut scratch = self.scratches.lock().pop().unwrap_or_default();
            let outcome = self.work_through(pieces, &next, &mut scratch, &work, &results);
            self.scratches.lock().push(scratch);
            if let Err(error) = outcome {
                next.store(pieces, Ordering::Relaxed);
                failure.lock().get_or_insert(error);
            }
        };
        let threads = self.pool.current_num_threads().min(pieces);
        self.pool.scope(|scope| (0..threads).for_each(|_| scope.spawn(|_| turn())));
        match failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(results.into_inner().into_iter().flatten().collect()),
        }
    }

    fn work_through<R>(
        &self,
        pieces: usize,
        next: &AtomicUsize,
        scratch: &mut Scratch,
        work: &(impl Fn(&mut Scratch, usize) -> Result<R> + Sync),
        results: &Mutex<Vec<Option<R>>>,
    ) -> Result<()> {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return Ok(());
            }
            self.cancel.check()?;
            let total = self.total.load(Ordering::Relaxed);
            self.watch.progress(self.done.load(Ordering::Relaxed).min(total), total)?;
            let result = work(scratch, piece)?;
            self.done.fetch_add(1, Ordering::Relaxed);
            results.lock()[piece] = Some(result);
        }
    }
}
