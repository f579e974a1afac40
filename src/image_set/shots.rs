//! From files to shots: one for each image, or for each position in a stack.

use super::assemble::Shot;
use super::candidate::{Candidate, Head, HeadImage};
use super::names::{ChannelTag, FieldKey, NameTags};
use crate::formats::{PlaneNote, StagePlace, StageUnit};
use std::collections::HashMap;

/// Where a position of a stack is: the stage's place, the cell of a grid.
type Position = (Option<StagePlace>, Option<(i32, i32)>);

/// Whether a file is an image, readable or not.
pub fn is_image(candidate: &Candidate) -> bool {
    matches!(candidate.head, Head::Images(_) | Head::Unreadable(_))
}

/// The shots of a file: one for each image, or for each position in a stack.
pub fn add_shots(
    candidate: &Candidate,
    file: usize,
    tags: NameTags,
    notes: &HashMap<String, PlaneNote>,
    shots: &mut Vec<Shot>,
) {
    let shot = |image: u32, name: String| Shot {
        file,
        image,
        at: None,
        kind: None,
        stage: None,
        region: String::new(),
        tags: tags.clone(),
        name,
    };
    let images = match &candidate.head {
        Head::Images(images) => images.as_slice(),
        _ => {
            shots.push(shot(0, candidate.name.clone()));
            return;
        }
    };
    if let [image] = images {
        let is_stack =
            image.planes.iter().any(|p| p.stage != image.planes[0].stage || p.row_col != image.planes[0].row_col);
        if is_stack {
            add_positions(candidate, file, image, &tags, shots);
            return;
        }
        let note = notes.get(&candidate.name.to_lowercase());
        shots.push(Shot {
            kind: Some(image.kind.clone()),
            stage: image.stage.or_else(|| note.and_then(|n| n.stage)),
            region: image.region.clone().unwrap_or_default(),
            ..shot(0, candidate.name.clone())
        });
        return;
    }
    for (index, image) in images.iter().enumerate() {
        let mut own = shot(index as u32, format!("{} [{index}]", candidate.name));
        own.tags.field = Some(FieldKey::Image(file as u32, index as u32, 0));
        own.kind = Some(image.kind.clone());
        own.stage = image.stage;
        own.region = image.region.clone().unwrap_or_default();
        shots.push(own);
    }
}

/// The shots of a stack whose planes stand at several places.
fn add_positions(candidate: &Candidate, file: usize, image: &HeadImage, tags: &NameTags, shots: &mut Vec<Shot>) {
    let mut positions: Vec<Position> = Vec::new();
    for plane in &image.planes {
        let at = (plane.stage, plane.row_col);
        let position = positions.iter().position(|p| *p == at).unwrap_or_else(|| {
            positions.push(at);
            positions.len() - 1
        });
        let mut tags = tags.clone();
        tags.field = Some(FieldKey::Image(file as u32, 0, position as u32));
        tags.z = plane.z;
        tags.t = plane.t;
        tags.channel = plane.channel.as_ref().filter(|c| !c.is_empty()).map(|c| {
            let number = c.parse().unwrap_or(ChannelTag::WORD);
            ChannelTag::new(number, c)
        });
        shots.push(Shot {
            file,
            image: 0,
            at: Some(plane.at),
            kind: Some(image.kind.clone()),
            stage: plane.stage.or_else(|| plane.row_col.map(|(row, col)| in_steps(row, col))),
            region: String::new(),
            tags,
            name: format!("{} [{position}]", candidate.name),
        });
    }
}

/// A cell of a grid as a place of the stage, in steps; the overlap is found later.
fn in_steps(row: i32, col: i32) -> StagePlace {
    StagePlace { x: f64::from(col), y: f64::from(row), unit: StageUnit::Unknown, um_per_px: None }
}
