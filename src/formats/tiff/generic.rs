//! TIFF files of no particular dialect: pages that are levels of a pyramid, stacks of channels, or pictures of their
//! own.

use super::document::{Chain, Document};
use super::page::{PageLayout, Photometric, tag};
use super::plan::{ImagePlan, is_reduced_version, is_same_kind};

/// Gray pages of one size up to this many are the channels of one image; more are focus positions.
const MAX_PAGE_CHANNELS: usize = 16;

/// Bytes of a page's name.
const MAX_NAME_BYTES: u64 = 1024;

/// Pages of one kind and their reduced versions.
struct Series {
    levels: Vec<Vec<u32>>,
}

/// The images of a file.
pub fn images(document: &Document, chain: &Chain, file_name: &str) -> Vec<ImagePlan> {
    let mut series: Vec<Series> = Vec::new();
    for page in chain.pages.iter().flatten().copied() {
        let layout = &document.pages[page as usize].layout;
        if !layout.purpose.mask {
            place(document, &mut series, page, layout);
        }
    }
    let several = series.len() > 1;
    let mut plans: Vec<ImagePlan> = Vec::new();
    for (index, series) in series.into_iter().enumerate() {
        let name = if several { format!("{file_name} ({})", index + 1) } else { file_name.to_owned() };
        plans.push(plan(document, series, name));
    }
    plans
}

fn place(document: &Document, series: &mut Vec<Series>, page: u32, layout: &PageLayout) {
    let layout_of = |page: u32| &*document.pages[page as usize].layout;
    if let Some(last) = series.last_mut() {
        let same = |level: &Vec<u32>| {
            let first = layout_of(level[0]);
            first.size == layout.size && is_same_kind(first, layout) && first.palette == layout.palette
        };
        // Within a stack of pyramids each page joins the level of its size.
        if let Some(level) = last.levels.iter().position(same) {
            let planes = last.levels[0].len();
            if if level == 0 { !layout.purpose.reduced } else { last.levels[level].len() < planes } {
                last.levels[level].push(page);
                return;
            }
        }
        let (base, smallest) = (layout_of(last.levels[0][0]), layout_of(last.levels[last.levels.len() - 1][0]));
        let smaller = layout.size.width < smallest.size.width && base.palette == layout.palette;
        if smaller && is_reduced_version(base, layout) {
            last.levels.push(vec![page]);
            return;
        }
    }
    series.push(Series { levels: vec![vec![page]] });
}

fn plan(document: &Document, series: Series, name: String) -> ImagePlan {
    let mut levels = series.levels;
    let planes = levels[0].len();
    // A level that some planes lack is of no use.
    let whole = levels.iter().take_while(|l| l.len() == planes).count();
    levels.truncate(whole);
    let layout = &document.pages[levels[0][0] as usize].layout;
    let gray = layout.samples == 1 && layout.photometric != Photometric::Palette;
    let as_channels = planes == 1 || (gray && planes <= MAX_PAGE_CHANNELS);
    let names = if as_channels && planes > 1 {
        levels[0].iter().map(|&page| document.text(page, tag::PAGE_NAME, MAX_NAME_BYTES)).collect()
    } else {
        Vec::new()
    };
    let has_levels = levels.len() > 1;
    let (groups, z_count) = if as_channels { (planes, 1) } else { (1, planes) };
    let mut plan = ImagePlan { name, pages: levels, groups, z_count, t_count: 1, names, ..ImagePlan::default() };
    if !has_levels {
        plan.add_sub_levels(document);
    }
    plan
}
