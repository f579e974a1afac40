//! The slot state machine under loom, which runs every interleaving of a few threads.
//!
//! The very file that the store uses is compiled here against loom's atomics, so that no other crate has to be built for
//! it.
//! Two things stand for the bytes of a slot.
//! A tracked cell fails a model in which one thread writes while another reads, or reads without having synchronised with
//! the writer.
//! A relaxed value shows whether a reader sees what was meant for it.

mod atomics {
    pub use loom::sync::atomic::{AtomicU32, Ordering};
}

#[path = "../src/store/slots.rs"]
mod slots;

use atomics::{AtomicU32, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use slots::{Claim, Pinned, Slots, Unpinned};

/// A slab of a few slots, and the index entries of two tiles.
struct Slab {
    words: Vec<AtomicU32>,
    accesses: Vec<UnsafeCell<()>>,
    values: Vec<AtomicU32>,
    /// Slot + 1; 0 is nowhere.
    index: [AtomicU32; 2],
}

impl Slab {
    fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            words: (0..count).map(|_| AtomicU32::new(0)).collect(),
            accesses: (0..count).map(|_| UnsafeCell::new(())).collect(),
            values: (0..count).map(|_| AtomicU32::new(0)).collect(),
            index: [AtomicU32::new(0), AtomicU32::new(0)],
        })
    }

    fn slots(&self) -> Slots<'_> {
        Slots::new(&self.words)
    }

    fn write(&self, slot: u32, value: u32) {
        self.accesses[slot as usize].with_mut(|_| ());
        self.values[slot as usize].store(value, Ordering::Relaxed);
    }

    fn read(&self, slot: u32) -> u32 {
        self.accesses[slot as usize].with(|_| ());
        self.values[slot as usize].load(Ordering::Relaxed)
    }

    /// What a commit does: the tile's value is its number + 1.
    fn store(&self, tile: usize) -> bool {
        let Some(Claim { slot, .. }) = self.slots().claim(0) else { return false };
        self.write(slot, tile as u32 + 1);
        self.slots().publish(slot);
        self.index[tile].store(slot + 1, Ordering::Release);
        self.unpin(slot);
        true
    }

    /// What a reader does: looks the place up, pins, looks again.
    fn pin_tile(&self, tile: usize) -> Option<u32> {
        let place = self.index[tile].load(Ordering::Acquire);
        let slot = place.checked_sub(1)?;
        self.slots().pin(slot)?;
        if self.index[tile].load(Ordering::Acquire) == place {
            return Some(slot);
        }
        self.unpin(slot);
        None
    }

    fn check(&self, tile: usize) {
        if let Some(slot) = self.pin_tile(tile) {
            assert_eq!(self.read(slot), tile as u32 + 1, "another tile's bytes");
            self.unpin(slot);
        }
    }

    /// What a discard does.
    fn discard(&self, tile: usize) {
        if let Some(slot) = self.pin_tile(tile) {
            if self.index[tile].compare_exchange(slot + 1, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.slots().doom(slot);
            }
            self.unpin(slot);
        }
    }

    fn unpin(&self, slot: u32) {
        if self.slots().unpin(slot) == Unpinned::Erase {
            self.write(slot, 0);
            self.slots().abandon(slot);
        }
    }

    /// What an eviction does.
    fn retire(&self) -> bool {
        if !self.slots().retire() {
            return false;
        }
        for entry in &self.index {
            entry.store(0, Ordering::Release);
        }
        for slot in 0..self.words.len() as u32 {
            self.write(slot, 0);
        }
        self.slots().reset();
        true
    }
}

fn run_beside(slab: &Arc<Slab>, work: impl FnOnce(&Slab) + 'static) -> thread::JoinHandle<()> {
    let slab = Arc::clone(slab);
    thread::spawn(move || work(&slab))
}

#[test]
fn a_reader_sees_all_of_a_published_tile_or_none() {
    loom::model(|| {
        let slab = Slab::new(1);
        let writer = run_beside(&slab, |slab| assert!(slab.store(0)));
        slab.check(0);
        writer.join().expect("a writer");
        assert_eq!(slab.pin_tile(0), Some(0));
    });
}

#[test]
fn a_slot_goes_to_one_of_two_writers() {
    loom::model(|| {
        let slab = Slab::new(2);
        let other = run_beside(&slab, |slab| assert!(slab.store(0)));
        assert!(slab.store(1));
        other.join().expect("a writer");
        slab.check(0);
        slab.check(1);
        assert!(slab.slots().claim(0).is_none(), "both slots are taken");
    });
}

#[test]
fn an_abandoned_slot_can_be_claimed_by_another_thread() {
    loom::model(|| {
        let slab = Slab::new(1);
        let other = run_beside(&slab, |slab| {
            if let Some(claim) = slab.slots().claim(0) {
                slab.write(claim.slot, 9);
                slab.slots().abandon(claim.slot);
            }
        });
        slab.store(0);
        slab.check(0);
        other.join().expect("a writer");
        slab.check(0);
    });
}

#[test]
fn a_slab_is_retired_whole_or_not_at_all_and_never_under_a_reader() {
    loom::model(|| {
        let slab = Slab::new(2);
        assert!(slab.store(0) && slab.store(1));
        let reader = run_beside(&slab, |slab| slab.check(1));
        let is_retired = slab.retire();
        reader.join().expect("a reader");
        for tile in 0..2 {
            assert_eq!(slab.pin_tile(tile).is_none(), is_retired);
        }
    });
}

#[test]
fn a_slab_is_not_retired_under_a_writer() {
    loom::model(|| {
        let slab = Slab::new(1);
        let writer = run_beside(&slab, |slab| {
            slab.store(0);
        });
        slab.retire();
        writer.join().expect("a writer");
        slab.check(0);
    });
}

#[test]
fn a_reader_with_an_old_place_does_not_take_the_next_tile_for_its_own() {
    loom::model(|| {
        let slab = Slab::new(1);
        assert!(slab.store(0));
        let evictor = run_beside(&slab, |slab| {
            if slab.retire() {
                assert!(slab.store(1));
            }
        });
        slab.check(0);
        slab.check(1);
        evictor.join().expect("an evictor");
    });
}

#[test]
fn a_doomed_slot_is_erased_once_by_the_last_of_its_readers() {
    loom::model(|| {
        let slab = Slab::new(1);
        assert!(slab.store(0));
        let other = run_beside(&slab, |slab| slab.discard(0));
        slab.check(0);
        slab.discard(0);
        other.join().expect("a reader");
        assert!(slab.pin_tile(0).is_none());
        assert_eq!(slab.slots().claim(0), Some(Claim { slot: 0, touched: true }), "it is free again");
        assert_eq!(slab.read(0), 0, "and erased");
    });
}

#[test]
fn settling_beside_readers_loses_no_pin() {
    loom::model(|| {
        let slab = Slab::new(2);
        assert!(slab.store(0));
        slab.slots().adopt(1);
        let settler = run_beside(&slab, |slab| slab.slots().settle());
        slab.check(0);
        settler.join().expect("a settler");
        assert_eq!(slab.slots().pin(0), Some(Pinned { fresh: false }));
        assert_eq!(slab.slots().pin(1), Some(Pinned { fresh: false }), "an adopted tile was never fresh");
        assert!(!slab.slots().retire(), "both are pinned");
        slab.unpin(0);
        slab.unpin(1);
        assert!(slab.slots().retire());
    });
}
