//! The `errands` thread: work on an open set that a person waits for and that may take seconds, such as painting the view
//! for the clipboard. It holds up neither the opening of files nor an export.

use super::threads::contained;
use super::{OpenSet, Shared};
use crate::pyramid::SetId;
use std::sync::Arc;

/// What is done with an open set.
pub(super) type Errand = (SetId, Box<dyn FnOnce(&OpenSet) + Send>);

/// The thread. An errand for a set that was closed is dropped, which tells whoever waits for it.
pub(super) fn errands(shared: &Arc<Shared>) {
    while let Some((id, errand)) = shared.errands.next() {
        if let Some(set) = shared.set(id) {
            contained(shared, Some(id), "Painting or measuring", || errand(&set));
        }
    }
}
