//! From lists of pages to images: what every dialect ends in.

use super::channels;
use super::document::Document;
use super::jpeg;
use super::page::{Compression, PageLayout};
use super::read::{NO_PAGE, TiffImage};
use crate::formats::StagePlace;
use crate::formats::chunks;
use crate::geom::Size;
use crate::pyramid::{Calibration, ChannelInfo, ChannelRole, ImageInfo, level_plan};

/// Channels of one image; more cannot be told apart, and would each need a colour.
const MAX_CHANNELS: usize = 4096;

/// What a dialect found out about one image.
#[derive(Debug, Clone, Default)]
pub struct ImagePlan {
    /// Its name.
    pub name: String,
    /// For each level the page of every plane: `(t * z_count + z) * groups + group`; [`NO_PAGE`] where there is none.
    pub pages: Vec<Vec<u32>>,
    /// Pages that together hold all channels of one z and t.
    pub groups: usize,
    /// Focus positions.
    pub z_count: usize,
    /// Time points.
    pub t_count: usize,
    /// Palettes only colour gray values.
    pub indices: bool,
    /// Names for the channels, in order, where the file has them.
    pub names: Vec<Option<String>>,
    /// Colours for the channels.
    pub colors: Vec<Option<[u8; 3]>>,
    /// Micrometres a pixel.
    pub um_per_px: Option<[f64; 2]>,
    /// The objective's magnification.
    pub objective: Option<f64>,
    /// Where the stage stood, and in which well.
    pub stage: (Option<StagePlace>, Option<String>),
}

impl ImagePlan {
    /// An image of one page.
    pub fn of_page(name: String, page: u32) -> Self {
        Self { name, pages: vec![vec![page]], groups: 1, z_count: 1, t_count: 1, ..Self::default() }
    }

    /// Takes the pages' reduced versions (SubIFDs) as levels, as far as all planes have them.
    pub fn add_sub_levels(&mut self, document: &Document) {
        let Some(full) = self.pages.first().cloned() else { return };
        for k in 0.. {
            let level: Option<Vec<u32>> = full
                .iter()
                .map(|&page| match page {
                    NO_PAGE => Some(NO_PAGE),
                    page => document.pages[page as usize].sub_pages.get(k).copied(),
                })
                .collect();
            let Some(level) = level.filter(|l| !l.is_empty()) else { break };
            let layout = |pages: &[u32]| {
                pages.iter().find(|&&p| p != NO_PAGE).map(|&p| document.pages[p as usize].layout.clone())
            };
            let (Some(before), Some(first), Some(this)) =
                (self.pages.last().and_then(|l| layout(l)), layout(&full), layout(&level))
            else {
                break;
            };
            // A side of one pixel stays one.
            if !is_reduced_version(&first, &this) || this.size.area() >= before.size.area() {
                break;
            }
            self.pages.push(level);
        }
    }

    /// Makes the image; pages that differ from the first are left out of it, with a warning.
    pub fn build(mut self, document: &Document, warnings: &mut Vec<String>) -> Result<(ImageInfo, TiffImage), String> {
        let layout_of = |page: u32| &document.pages[page as usize].layout;
        let first_page = |pages: &[u32]| pages.iter().copied().find(|&p| p != NO_PAGE);
        let first = first_page(&self.pages[0]).ok_or("none of its pages is there")?;
        let base = layout_of(first).clone();
        if base.compression == Compression::Jpeg && jpeg::is_not_read(document, first) {
            return Err(jpeg::NOT_READ.into());
        }
        let mut sizes = Vec::new();
        let mut levels = Vec::new();
        for (index, mut pages) in std::mem::take(&mut self.pages).into_iter().enumerate() {
            let Some(model) = first_page(&pages) else { break };
            let model = layout_of(model).clone();
            if index > 0 && !is_same_kind(&base, &model) {
                break;
            }
            let mut odd = 0;
            for page in pages.iter_mut().filter(|p| **p != NO_PAGE) {
                let layout = layout_of(*page);
                let other_colors = !self.indices && layout.palette != model.palette;
                if layout.size != model.size || !is_same_kind(&model, layout) || other_colors {
                    *page = NO_PAGE;
                    odd += 1;
                }
            }
            if odd > 0 {
                warnings.push(format!("{odd} pages differ from the first in size or type and are left out"));
            }
            sizes.push(model.size);
            levels.push(pages);
        }
        let (pixel_type, page_channels, taps) = channels::of_page(&base, self.indices);
        let count = page_channels.len() * self.groups;
        if count > MAX_CHANNELS {
            return Err(format!("{count} channels; at most {MAX_CHANNELS} are read"));
        }
        let z_count = u16::try_from(self.z_count).map_err(|_| format!("{} focus positions", self.z_count))?;
        let t_count = u16::try_from(self.t_count).map_err(|_| format!("{} time points", self.t_count))?;
        let mut all: Vec<ChannelInfo> = Vec::with_capacity(count);
        for group in 0..self.groups {
            // Each page of gray values may come with a look-up table of its own.
            let page = levels.first().and_then(|l| l.get(group)).copied().filter(|&p| p != NO_PAGE && self.indices);
            let table = page.and_then(|p| layout_of(p).palette.as_deref()).and_then(channels::brightest);
            for channel in &page_channels {
                let mut channel = channel.clone();
                channel.color = table.or(channel.color);
                if self.groups > 1 && channel.role == ChannelRole::Intensity {
                    channel.name = match page_channels.len() {
                        1 => format!("Channel {}", group + 1),
                        _ => format!("{} {}", channel.name, group + 1),
                    };
                }
                let number = all.len();
                if let Some(Some(name)) = self.names.get(number) {
                    channel.name = name.clone();
                }
                channel.color = self.colors.get(number).copied().flatten().or(channel.color);
                all.push(channel);
            }
        }
        let tile_side = if base.tiled { chunks::tile_side(base.chunk) } else { chunks::DEFAULT_TILE_SIDE };
        let info = ImageInfo {
            name: self.name,
            size: base.size,
            pixel_type,
            channels: all,
            z_count,
            t_count,
            um_per_px: self.um_per_px,
            calibration: if self.um_per_px.is_some() { Calibration::File } else { Calibration::Unknown },
            objective: self.objective,
            tile_side,
            levels: level_plan(&sizes, tile_side),
        };
        Ok((info, TiffImage { pages: levels, taps, groups: self.groups }))
    }
}

/// Whether two pages hold the same kind of pixels, whatever their sizes.
pub fn is_same_kind(a: &PageLayout, b: &PageLayout) -> bool {
    (a.samples, a.sample, a.bits, a.photometric) == (b.samples, b.sample, b.bits, b.photometric)
}

/// Whether `small` can be a reduced version of `large`: the same kind of pixels, the same shape but for rounding.
pub fn is_reduced_version(large: &PageLayout, small: &PageLayout) -> bool {
    is_same_kind(large, small) && is_reduced_size(large.size, small.size)
}

/// Whether a size is another one divided by the same number on both sides, but for rounding to whole pixels, and by 1.5
/// at least.
pub fn is_reduced_size(large: Size, small: Size) -> bool {
    let [(w, sw), (h, sh)] =
        [(large.width, small.width), (large.height, small.height)].map(|(l, s)| (f64::from(l), f64::from(s)));
    // The factors that either side allows, if its smaller size was rounded down or up.
    let low = (w / (sw + 1.0)).max(h / (sh + 1.0));
    // One pixel is what any larger factor leaves of a side.
    let most = |side: f64, reduced: f64| if reduced > 1.0 { side / (reduced - 1.0) } else { f64::INFINITY };
    let high = most(w, sw).min(most(h, sh));
    let shrinks = |side: f64, reduced: f64| reduced < side || side == 1.0 && reduced == 1.0;
    shrinks(w, sw) && shrinks(h, sh) && low <= high && (w / sw).max(h / sh) >= 1.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_may_be_rounded_but_not_reshaped() {
        let full = Size::new(2658, 2667);
        for reduced in [Size::new(1329, 1334), Size::new(1329, 1333), Size::new(665, 667), Size::new(332, 333)] {
            assert!(is_reduced_size(full, reduced), "{reduced:?}");
        }
        for other in [full, Size::new(2000, 2007), Size::new(1329, 900), Size::new(768, 574), Size::new(5000, 5000)] {
            assert!(!is_reduced_size(full, other), "{other:?}");
        }
    }

    #[test]
    fn a_side_of_one_pixel_stays_one_in_reduced_versions() {
        let full = Size::new(1, 700);
        for reduced in [Size::new(1, 350), Size::new(1, 88), Size::new(1, 1)] {
            assert!(is_reduced_size(full, reduced), "{reduced:?}");
        }
        assert!(!is_reduced_size(full, full));
        assert!(!is_reduced_size(Size::new(2, 700), Size::new(2, 350)));
    }
}
