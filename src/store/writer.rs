//! What writers hold: a slot that becomes a tile, and scratch memory.

use super::region::{self, OwnedRegion, Region};
use super::slab::Hold;
use super::{Quota, Shared};
use crate::error::Result;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The memory of a tile that is being made; the slot is free again when this is dropped without a commit.
pub struct SlotWriter<'a> {
    shared: &'a Shared,
    hold: Hold,
    tile: u64,
    bytes: usize,
    is_zero: bool,
}

impl<'a> SlotWriter<'a> {
    pub(super) fn new(shared: &'a Shared, hold: Hold, tile: u64, bytes: usize, is_zero: bool) -> Self {
        Self { shared, hold, tile, bytes, is_zero }
    }

    /// Which tile it becomes.
    pub fn tile(&self) -> u64 {
        self.tile
    }

    /// The same memory with all bytes zero; call it before anything is written.
    pub fn zero(&mut self) -> &mut [u8] {
        if !self.is_zero {
            self.fill(0);
        }
        self
    }

    /// Makes it a tile: Ready for everybody when this returns.
    pub fn commit(self) -> Result<()> {
        self.shared.commit(self.hold, self.tile, self.bytes, None)
    }
}

impl Deref for SlotWriter<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.hold.bytes(self.bytes)
    }
}

impl DerefMut for SlotWriter<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.is_zero = false;
        self.hold.bytes_mut(self.bytes)
    }
}

/// Mapped memory of its own file, allocated first and without a name: it is gone with the value.
pub struct Scratch {
    memory: OwnedRegion,
    bytes: u64,
    quota: Arc<Quota>,
}

impl Scratch {
    pub(super) fn new(shared: &Shared, bytes: u64) -> Result<Self> {
        shared.quota.make_exact_room(shared, bytes)?;
        let quota = Arc::clone(&shared.quota);
        let made = match shared.folder_path() {
            Some(folder) => region::map_unnamed(folder, bytes.max(1)),
            None => region::mappable(bytes.max(1), quota.root()).map(Region::heap),
        };
        match made {
            Ok(region) => Ok(Self { memory: OwnedRegion::new(region), bytes, quota }),
            Err(error) => {
                quota.give(bytes);
                Err(error)
            }
        }
    }
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.bytes as usize]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.bytes as usize;
        &mut self.memory[..bytes]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.quota.give(self.bytes);
    }
}
